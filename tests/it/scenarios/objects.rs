//! What can be done to objects: the generic verbs, from create to the deletion of a namespace.

use anyhow::{Context as _, Result, ensure};
use nodeplane_tests::bed::{
    cluster::{Cluster, PATIENCE},
    wait,
};
use serde_json::{Value, json};

use super::{hello, pod_names, scenarios, shell_pod};

scenarios![
    create_twice_says_already_exists,
    a_stale_replace_is_a_conflict,
    every_patch_type_changes_what_it_says,
    generation_counts_changes_of_the_spec,
    the_status_is_written_by_its_own_path_only,
    labels_and_field_selectors_choose_objects,
    lists_come_in_pages,
    generated_names_are_unique,
    a_deletion_may_name_what_it_expects,
    a_deletion_waits_for_finalizers,
    a_collection_is_deleted_by_its_selector,
    a_pod_is_deleted_with_grace,
    deleting_a_namespace_takes_its_content_along,
];

/// A ConfigMap with a label and two keys.
pub(super) const CONFIG: &str =
    "{apiVersion: v1, kind: ConfigMap, metadata: {name: c, labels: {a: b}}, data: {k: v, l: w}}";

fn config(name: &str, labels: &Value) -> String {
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name, "labels": labels } }).to_string()
}

fn create_twice_says_already_exists(cluster: &Cluster, ns: &str) -> Result<()> {
    let args = ["create", "-n", ns, "-f", "-"];
    cluster.kubectl_with_input(&args, CONFIG)?.success(&args)?;
    let error = cluster.kubectl_with_input(&args, CONFIG)?.failure()?;
    ensure!(error.contains("configmaps \"c\" already exists"), "{error}");
    Ok(())
}

fn a_stale_replace_is_a_conflict(cluster: &Cluster, ns: &str) -> Result<()> {
    cluster.apply(ns, CONFIG)?;
    let stale = cluster.get_in(ns, "configmap", "c")?.to_string();
    cluster.run(&["label", "-n", ns, "configmap", "c", "newer=yes"])?;
    let error = cluster.kubectl_with_input(&["replace", "-n", ns, "-f", "-"], &stale)?.failure()?;
    let expected = "the object has been modified; please apply your changes to the latest version";
    ensure!(error.contains(expected), "{error}");
    let fresh = cluster.get_in(ns, "configmap", "c")?.to_string();
    let args = ["replace", "-n", ns, "-f", "-"];
    cluster.kubectl_with_input(&args, &fresh.replace("\"v\"", "\"replaced\""))?.success(&args)?;
    ensure!(cluster.get_in(ns, "configmap", "c")?["data"]["k"] == "replaced");
    Ok(())
}

fn every_patch_type_changes_what_it_says(cluster: &Cluster, ns: &str) -> Result<()> {
    cluster.apply(ns, &hello(0))?;
    let patch = |kind: &str, patch: &str| {
        cluster.kubectl(&["patch", "-n", ns, "deployment", "hello", "--type", kind, "-p", patch])
    };
    patch("json", r#"[{"op": "add", "path": "/metadata/labels/json", "value": "yes"}]"#)?.success(&[])?;
    patch("merge", r#"{"metadata": {"labels": {"merge": "yes", "app": null}}}"#)?.success(&[])?;
    // A strategic merge finds the container by name, and leaves its other fields alone.
    let env = json!([{ "name": "A", "value": "1" }]);
    let strategic = json!({ "spec": { "template": { "spec": { "containers": [{ "name": "hello", "env": env }] } } } });
    patch("strategic", &strategic.to_string())?.success(&[])?;
    let object = cluster.get_in(ns, "deployment", "hello")?;
    let labels = &object["metadata"]["labels"];
    ensure!(labels["json"] == "yes" && labels["merge"] == "yes" && labels.get("app").is_none(), "{labels}");
    let container = &object["spec"]["template"]["spec"]["containers"][0];
    ensure!(container["image"] == "nodeplane/hello:1" && container["env"] == env, "{container}");
    let error = patch("json", r#"[{"op": "test", "path": "/spec/replicas", "value": 7}]"#)?.failure()?;
    ensure!(error.contains("The request is invalid") && error.contains("/spec/replicas"), "{error}");
    Ok(())
}

fn generation_counts_changes_of_the_spec(cluster: &Cluster, ns: &str) -> Result<()> {
    cluster.apply(ns, &hello(0))?;
    let generation =
        || -> Result<Value> { Ok(cluster.get_in(ns, "deployment", "hello")?["metadata"]["generation"].clone()) };
    ensure!(generation()? == 1);
    cluster.run(&["label", "-n", ns, "deployment", "hello", "x=y"])?;
    ensure!(generation()? == 1, "a label is no change of the spec");
    cluster.run(&["patch", "-n", ns, "deployment", "hello", "-p", r#"{"spec": {"minReadySeconds": 1}}"#])?;
    ensure!(generation()? == 2);
    wait::eventually("the controller has seen it", PATIENCE, || {
        let status = &cluster.get_in(ns, "deployment", "hello")?["status"];
        ensure!(status["observedGeneration"] == 2, "{status}");
        Ok(())
    })
}

fn the_status_is_written_by_its_own_path_only(cluster: &Cluster, ns: &str) -> Result<()> {
    // Nobody but this scenario writes the status of a pod that no node takes.
    let pod = super::pod("p", "true", |spec| spec["nodeSelector"] = json!({ "no": "node" }));
    cluster.apply(ns, &pod)?;
    let patch = r#"{"metadata": {"labels": {"by": "patch"}}, "status": {"message": "hello"}}"#;
    let get = || cluster.get_in(ns, "pod", "p");
    cluster.run(&["patch", "-n", ns, "pod", "p", "-p", patch])?;
    let pod = get()?;
    ensure!(pod["status"]["message"].is_null() && pod["metadata"]["labels"]["by"] == "patch", "{pod}");
    let patch = patch.replace("\"patch\"", "\"status\"");
    cluster.run(&["patch", "-n", ns, "pod", "p", "--subresource=status", "-p", &patch])?;
    let pod = get()?;
    ensure!(pod["status"]["message"] == "hello" && pod["metadata"]["labels"]["by"] == "patch", "{pod}");
    let scale = cluster.kubectl(&["get", "-n", ns, "pod", "p", "--subresource=scale"])?.failure()?;
    ensure!(scale.contains("could not find the requested resource"), "{scale}");
    Ok(())
}

fn labels_and_field_selectors_choose_objects(cluster: &Cluster, ns: &str) -> Result<()> {
    for (name, tier) in [("one", "front"), ("two", "back"), ("three", "back")] {
        cluster.apply(ns, &config(name, &json!({ "tier": tier })))?;
    }
    let names = |flag: &str, selector: &str| cluster.run(&["get", "-n", ns, "configmap", flag, selector, "-o", "name"]);
    ensure!(names("-l", "tier=back")? == "configmap/three\nconfigmap/two\n");
    ensure!(names("-l", "tier in (front, none)")? == "configmap/one\n");
    ensure!(names("-l", "tier,tier notin (back)")? == "configmap/one\n");
    ensure!(names("-l", "tier!=back,tier")? == "configmap/one\n");
    ensure!(names("--field-selector", "metadata.name=two")? == "configmap/two\n");
    let error = cluster.kubectl(&["get", "-n", ns, "configmap", "--field-selector", "data.k=v"])?.failure()?;
    ensure!(error.contains("\"data.k\" is not a known field selector"), "{error}");
    cluster.apply(ns, &shell_pod("p", "true"))?;
    let pods = |phase: &str| {
        let selector = format!("status.phase={phase}");
        cluster.run(&["get", "-n", ns, "pods", "--field-selector", &selector, "-o", "name"])
    };
    wait::eventually("the pod is found by its phase", PATIENCE, || {
        ensure!(pods("Succeeded")? == "pod/p\n" && pods("Running")?.is_empty(), "not yet");
        Ok(())
    })
}

fn lists_come_in_pages(cluster: &Cluster, ns: &str) -> Result<()> {
    let items: Vec<String> = (0..25).map(|n| config(&format!("page-{n}"), &json!({ "page": "yes" }))).collect();
    cluster.apply(ns, &items.join("\n---\n"))?;
    let names = cluster.run(&["get", "-n", ns, "configmap", "-l", "page=yes", "--chunk-size=7", "-o", "name"])?;
    ensure!(names.lines().count() == 25, "{names}");
    let all = cluster.list(ns, "configmaps", "")?.len();
    let path = format!("/api/v1/namespaces/{ns}/configmaps?limit=7");
    let first = cluster.raw_json(&path, &[])?;
    let meta = &first["metadata"];
    ensure!(first["items"].as_array().is_some_and(|items| items.len() == 7), "{first}");
    ensure!(meta["remainingItemCount"] == all - 7, "{meta}");
    // A page belongs to the state that the first one was read from.
    cluster.run(&["delete", "-n", ns, "configmap", "page-9"])?;
    let token = meta["continue"].as_str().context("no token")?;
    let second = cluster.raw_json(&format!("{path}&continue={token}"), &[])?;
    ensure!(second["metadata"]["resourceVersion"] == meta["resourceVersion"], "{}", second["metadata"]);
    ensure!(second["metadata"]["remainingItemCount"] == all - 14, "{}", second["metadata"]);
    Ok(())
}

fn generated_names_are_unique(cluster: &Cluster, ns: &str) -> Result<()> {
    let manifest = "{apiVersion: v1, kind: ConfigMap, metadata: {generateName: gen-}}";
    let args = ["create", "-n", ns, "-f", "-", "-o", "name"];
    let first = cluster.kubectl_with_input(&args, manifest)?.success(&args)?;
    let second = cluster.kubectl_with_input(&args, manifest)?.success(&args)?;
    let length = "configmap/gen-".len() + 5;
    ensure!(first != second && first.starts_with("configmap/gen-") && first.trim().len() == length, "{first}");
    Ok(())
}

fn a_deletion_may_name_what_it_expects(cluster: &Cluster, ns: &str) -> Result<()> {
    cluster.apply(ns, CONFIG)?;
    let delete = |uid: &str| {
        let options = json!({ "apiVersion": "v1", "kind": "DeleteOptions", "preconditions": { "uid": uid } });
        let path = format!("/api/v1/namespaces/{ns}/configmaps/c");
        cluster.raw_json(&path, &["-X", "DELETE", "-H", "Content-Type: application/json", "-d", &options.to_string()])
    };
    let status = delete("another")?;
    ensure!(
        status["code"] == 409
            && status["message"].as_str().is_some_and(|m| m.contains("the UID in the precondition (another)")),
        "{status}"
    );
    let uid = cluster.get_in(ns, "configmap", "c")?["metadata"]["uid"].clone();
    let status = delete(uid.as_str().context("uid")?)?;
    ensure!(status["status"] == "Success", "{status}");
    Ok(())
}

fn a_deletion_waits_for_finalizers(cluster: &Cluster, ns: &str) -> Result<()> {
    cluster.apply(ns, &CONFIG.replace("name: c,", "name: c, finalizers: [example.com/hold],"))?;
    cluster.run(&["delete", "-n", ns, "configmap", "c", "--wait=false"])?;
    let held = cluster.get_in(ns, "configmap", "c")?;
    ensure!(!held["metadata"]["deletionTimestamp"].is_null(), "{held}");
    cluster.run(&[
        "patch",
        "-n",
        ns,
        "configmap",
        "c",
        "--type=json",
        "-p",
        r#"[{"op": "remove", "path": "/metadata/finalizers"}]"#,
    ])?;
    let missing = cluster.kubectl(&["get", "-n", ns, "configmap", "c"])?.failure()?;
    ensure!(missing.contains("configmaps \"c\" not found"), "{missing}");
    Ok(())
}

fn a_collection_is_deleted_by_its_selector(cluster: &Cluster, ns: &str) -> Result<()> {
    for (name, tier) in [("one", "front"), ("two", "back"), ("three", "back")] {
        cluster.apply(ns, &config(name, &json!({ "tier": tier })))?;
    }
    let path = format!("/api/v1/namespaces/{ns}/configmaps?labelSelector=tier%3Dback");
    cluster.raw_json(&path, &["-X", "DELETE"])?;
    let left = cluster.run(&["get", "-n", ns, "configmaps", "-l", "tier", "-o", "name"])?;
    ensure!(left == "configmap/one\n", "{left}");
    Ok(())
}

fn a_pod_is_deleted_with_grace(cluster: &Cluster, ns: &str) -> Result<()> {
    // It does not hear SIGTERM: the grace period decides.
    cluster.apply(ns, &shell_pod("deaf", "trap '' TERM; while :; do sleep 1; done"))?;
    cluster.ready(ns, "deaf")?;
    cluster.run(&["delete", "-n", ns, "pod", "deaf", "--grace-period=3", "--wait=false"])?;
    let pod = cluster.get_in(ns, "pod", "deaf")?;
    ensure!(pod["metadata"]["deletionGracePeriodSeconds"] == 3, "{}", pod["metadata"]);
    let row = cluster.run(&["get", "-n", ns, "pod", "deaf", "--no-headers"])?;
    ensure!(row.contains("Terminating"), "{row}");
    cluster.run(&["wait", "-n", ns, "--for=delete", "pod/deaf", "--timeout=60s"])?;
    // Without grace the object goes at once, and its container soon after.
    cluster.apply(ns, &shell_pod("deaf", "trap '' TERM; while :; do sleep 1; done"))?;
    cluster.ready(ns, "deaf")?;
    cluster.run(&["delete", "-n", ns, "pod", "deaf", "--grace-period=0", "--force"])?;
    ensure!(pod_names(cluster, ns, "run=deaf")?.is_empty());
    wait::eventually("the container is gone", PATIENCE, || {
        ensure!(cluster.container(ns, "deaf").is_err(), "it runs");
        Ok(())
    })
}

fn deleting_a_namespace_takes_its_content_along(cluster: &Cluster, ns: &str) -> Result<()> {
    let doomed = format!("{ns}-x");
    cluster.create_namespace(&doomed)?;
    cluster.apply(&doomed, &hello(2))?;
    cluster.apply(&doomed, CONFIG)?;
    cluster.rollout(&doomed, "hello")?;
    cluster.run(&["delete", "namespace", &doomed, "--timeout=60s"])?;
    wait::eventually("its containers are removed", PATIENCE, || {
        let label = format!("label=io.kubernetes.pod.namespace={doomed}");
        let rest = cluster.docker(&["ps", "--all", "--quiet", "--filter", &label])?;
        ensure!(rest.is_empty(), "containers are left: {rest}");
        Ok(())
    })?;
    let error = cluster.create(&doomed, CONFIG)?.failure()?;
    ensure!(error.contains(&format!("namespaces \"{doomed}\" not found")), "{error}");
    // Nothing of it comes back with a namespace of the same name.
    cluster.create_namespace(&doomed)?;
    let rest = cluster.run(&["get", "-n", &doomed, "all,endpointslices,events,configmaps", "-o", "name"])?;
    ensure!(!rest.contains("hello") && !rest.contains("configmap/c"), "{rest}");
    cluster.run(&["delete", "namespace", &doomed, "--wait=false"])?;
    Ok(())
}
