//! The API's door: who may come in, what it says of itself, what it refuses.

use std::{fs, os::unix::fs::PermissionsExt as _};

use anyhow::{Context as _, Result, ensure};
use nodeplane_api::kinds::Kind;
use nodeplane_tests::bed::{
    cluster::Cluster,
    process::{output, run},
};
use serde_json::{Value, json};

use super::{hello, scenarios};

scenarios![
    version_says_1_33,
    anonymous_callers_are_refused,
    the_administrators_kubeconfig_is_private,
    discovery_comes_in_every_form,
    every_kind_has_an_open_api_schema,
    explain_leads_to_every_field,
    an_autoscaler_is_one_object_in_two_versions,
    what_is_served_is_told_by_objects,
    a_bad_manifest_names_the_field_and_stores_nothing,
    every_bad_field_is_named_at_once,
    an_unknown_field_is_refused_by_its_path,
    a_wrong_type_is_refused,
    an_unknown_namespace_is_named,
    an_unknown_kind_is_not_found,
    a_protected_namespace_stays,
    a_watch_has_bookmarks,
];

fn version_says_1_33(cluster: &Cluster, _: &str) -> Result<()> {
    let version: Value = serde_json::from_str(&cluster.run(&["get", "--raw", "/version"])?)?;
    ensure!(version["major"] == "1" && version["minor"] == "33", "{version}");
    ensure!(version["gitVersion"].as_str().is_some_and(|text| text.starts_with("v1.33.")), "{version}");
    let said = cluster.run(&["version"])?;
    ensure!(said.contains("Server Version: v1.33."), "{said}");
    Ok(())
}

fn anonymous_callers_are_refused(cluster: &Cluster, ns: &str) -> Result<()> {
    for path in ["/api/v1/namespaces/default/secrets", "/api", "/no/such/path"] {
        let mut command = cluster.host().command("curl");
        let answer = run(command.args(["--silent", "--insecure", &format!("https://127.0.0.1:6443{path}")]))?;
        let status: Value = serde_json::from_str(&answer).context(answer)?;
        ensure!(status["code"] == 401 && status["reason"] == "Unauthorized", "{path}: {status}");
    }
    // Somebody who only says who they are is nobody, too.
    let config = cluster.host().dir().join(format!("{ns}.kubeconfig"));
    let claim = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "contexts": [{ "name": "c", "context": { "cluster": "c", "user": "u" } }],
        "users": [{ "name": "u", "user": { "token": "I-am-the-administrator" } }],
        "clusters": [{ "name": "c", "cluster": { "server": "https://127.0.0.1:6443", "insecure-skip-tls-verify": true } }],
    });
    fs::write(&config, claim.to_string())?;
    let answer = output(cluster.kubectl_command(&["get", "secrets"]).env("KUBECONFIG", &config))?;
    let words = String::from_utf8_lossy(&answer.stderr).into_owned();
    ensure!(!answer.status.success() && words.contains("You must be logged in to the server"), "{words}");
    Ok(())
}

fn the_administrators_kubeconfig_is_private(cluster: &Cluster, _: &str) -> Result<()> {
    let mode = fs::metadata(cluster.kubeconfig())?.permissions().mode();
    ensure!(mode & 0o777 == 0o600, "{mode:o}");
    Ok(())
}

fn discovery_comes_in_every_form(cluster: &Cluster, _: &str) -> Result<()> {
    let kinds = || nodeplane_api::kinds::KINDS.iter();
    let table = cluster.run(&["api-resources", "--no-headers"])?;
    // Of the versions of a group, kubectl prints the first.
    let is_first =
        |kind: &&Kind| kinds().find(|row| row.group == kind.group).is_some_and(|row| row.version == kind.version);
    for kind in kinds().filter(is_first) {
        let mut rows = table.lines().filter(|row| row.split_whitespace().next() == Some(kind.plural));
        let told = rows.any(|row| row.contains(&kind.api_version()) && row.ends_with(kind.kind));
        ensure!(told, "{kind:?} is missing in\n{table}");
    }
    let versions = cluster.run(&["api-versions"])?;
    ensure!(kinds().all(|kind| versions.lines().any(|line| line == kind.api_version())), "{versions}");
    for version in ["v2", "v2beta1"] {
        let accept = format!("Accept: application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList");
        for path in ["/api", "/apis"] {
            let list = cluster.raw_json(path, &["-H", &accept])?;
            ensure!(list["kind"] == "APIGroupDiscoveryList", "{list}");
            ensure!(list["apiVersion"] == format!("apidiscovery.k8s.io/{version}"), "{list}");
        }
    }
    let legacy = cluster.raw_json("/apis/apps/v1", &[])?;
    ensure!(legacy["kind"] == "APIResourceList" && legacy["groupVersion"] == "apps/v1", "{legacy}");
    Ok(())
}

fn every_kind_has_an_open_api_schema(cluster: &Cluster, _: &str) -> Result<()> {
    let index = cluster.raw_json("/openapi/v3", &[])?;
    for kind in nodeplane_api::kinds::KINDS {
        let path = match kind.group {
            "" => format!("api/{}", kind.version),
            group => format!("apis/{group}/{}", kind.version),
        };
        ensure!(index["paths"][&path]["serverRelativeURL"].is_string(), "{path} is missing in {index}");
        let said = cluster.run(&["explain", kind.plural, "--api-version", &kind.api_version()])?;
        ensure!(said.contains(&format!("KIND:       {}", kind.kind)), "{said}");
    }
    let said = cluster.run(&["explain", "deployment.spec.strategy.rollingUpdate"])?;
    ensure!(said.contains("GROUP:      apps") && said.contains("maxSurge"), "{said}");
    let said = cluster.run(&["explain", "pod.spec.containers.imagePullPolicy"])?;
    ensure!(said.contains("FIELD: imagePullPolicy <string>") && said.contains("Image pull policy"), "{said}");
    Ok(())
}

fn explain_leads_to_every_field(cluster: &Cluster, _: &str) -> Result<()> {
    for name in ["pod.spec.affinity", "Pod.spec.affinity"] {
        let said = cluster.run(&["explain", name])?;
        let expected = "KIND:       Pod\nVERSION:    v1\n\nFIELD: affinity <Affinity>\n";
        ensure!(said.starts_with(expected) && said.contains("  podAntiAffinity\t<PodAntiAffinity>\n"), "{said}");
    }
    let said = cluster.run(&["explain", "deploy", "--recursive"])?;
    ensure!(said.contains("KIND:       Deployment") && said.contains("topologySpreadConstraints"), "{said}");
    let said = cluster.run(&["explain", "hpa.spec", "--api-version", "autoscaling/v1"])?;
    ensure!(said.contains("targetCPUUtilizationPercentage\t<integer>"), "{said}");
    // Older clients read the document of v2, as protobuf.
    let said = cluster.run(&["explain", "pod.spec.affinity", "--output", "plaintext-openapiv2"])?;
    ensure!(said.contains("RESOURCE: affinity <Object>") && said.contains("   podAffinity\t<Object>"), "{said}");
    Ok(())
}

fn an_autoscaler_is_one_object_in_two_versions(cluster: &Cluster, ns: &str) -> Result<()> {
    cluster.apply(ns, &hello(1))?;
    cluster.run(&["autoscale", "-n", ns, "deployment", "hello", "--max=5", "--cpu-percent=50"])?;
    let table = cluster.run(&["get", "-n", ns, "hpa", "--no-headers"])?;
    let row: Vec<&str> = table.split_whitespace().collect();
    ensure!(row[..7] == ["hello", "Deployment/hello", "cpu:", "<unknown>/50%", "1", "5", "0"], "{table}");
    let path = |version: &str| format!("/apis/autoscaling/{version}/namespaces/{ns}/horizontalpodautoscalers/hello");
    let (old, new) = (cluster.raw_json(&path("v1"), &[])?, cluster.raw_json(&path("v2"), &[])?);
    ensure!(old["spec"]["targetCPUUtilizationPercentage"] == 50, "{old}");
    ensure!(new["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"] == 50, "{new}");
    ensure!(old["metadata"]["uid"] == new["metadata"]["uid"], "{old} {new}");
    Ok(())
}

fn what_is_served_is_told_by_objects(cluster: &Cluster, _: &str) -> Result<()> {
    let table = cluster.run(&["get", "apiservices", "--no-headers"])?;
    for name in ["v1.", "v1.apps", "v1.autoscaling", "v2.autoscaling"] {
        let row = table.lines().find(|row| row.split_whitespace().next() == Some(name)).unwrap_or_default();
        let cells: Vec<&str> = row.split_whitespace().skip(1).take(2).collect();
        ensure!(cells == ["Local", "True"], "{name} in\n{table}");
    }
    Ok(())
}

/// Applies what must be refused; returns what was said.
fn refused(cluster: &Cluster, ns: &str, manifest: &str) -> Result<String> {
    cluster.kubectl_with_input(&["apply", "-n", ns, "-f", "-"], manifest)?.failure()
}

fn a_bad_manifest_names_the_field_and_stores_nothing(cluster: &Cluster, ns: &str) -> Result<()> {
    let manifest = hello(1).replace("replicas: 1", "replicas: -1");
    let deployment = manifest.split("---").next().unwrap_or_default();
    let error = refused(cluster, ns, deployment)?;
    let expected =
        "The Deployment \"hello\" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0";
    ensure!(error.contains(expected), "{error}");
    let missing = cluster.kubectl(&["get", "-n", ns, "deployment", "hello"])?.failure()?;
    ensure!(missing.contains("deployments.apps \"hello\" not found"), "{missing}");
    Ok(())
}

fn every_bad_field_is_named_at_once(cluster: &Cluster, ns: &str) -> Result<()> {
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "p" },
        "spec": {
            "restartPolicy": "Sometimes",
            "containers": [{ "name": "UPPER", "image": "x", "ports": [{ "containerPort": 70000 }] }],
        },
    });
    let error = refused(cluster, ns, &pod.to_string())?;
    for path in ["spec.restartPolicy", "spec.containers[0].name", "spec.containers[0].ports[0].containerPort"] {
        ensure!(error.contains(&format!("* {path}: ")), "{path} is missing in\n{error}");
    }
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "name": "s" },
        "spec": { "ports": [{ "port": 0 }] },
    });
    let error = refused(cluster, ns, &service.to_string())?;
    ensure!(error.contains("spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive"), "{error}");
    let nothing = cluster.run(&["get", "-n", ns, "pods,services", "-o", "name"])?;
    ensure!(nothing.is_empty(), "{nothing}");
    Ok(())
}

fn an_unknown_field_is_refused_by_its_path(cluster: &Cluster, ns: &str) -> Result<()> {
    let manifest = "{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: [{name: c, imagee: x}]}}";
    let error = cluster.create(ns, manifest)?.failure()?;
    ensure!(error.contains("strict decoding error: unknown field \"spec.containers[0].imagee\""), "{error}");
    cluster.kubectl(&["get", "-n", ns, "pod", "p"])?.failure()?;
    Ok(())
}

fn a_wrong_type_is_refused(cluster: &Cluster, ns: &str) -> Result<()> {
    let manifest = "{apiVersion: v1, kind: ConfigMap, metadata: {name: c}, data: {number: 7}}";
    let error = cluster.create(ns, manifest)?.failure()?;
    let expected = "ConfigMap.data: ReadString: expects \" or n, but found 7";
    ensure!(error.contains("BadRequest") || error.contains(expected), "{error}");
    cluster.kubectl(&["get", "-n", ns, "configmap", "c"])?.failure()?;
    Ok(())
}

fn an_unknown_namespace_is_named(cluster: &Cluster, ns: &str) -> Result<()> {
    let manifest = "{apiVersion: v1, kind: ConfigMap, metadata: {name: c}}";
    let error = refused(cluster, &format!("{ns}-missing"), manifest)?;
    ensure!(error.contains(&format!("namespaces \"{ns}-missing\" not found")), "{error}");
    Ok(())
}

fn an_unknown_kind_is_not_found(cluster: &Cluster, _: &str) -> Result<()> {
    let error = cluster.kubectl(&["get", "--raw", "/apis/apps/v1/namespaces/default/gadgets"])?.failure()?;
    ensure!(error.contains("(NotFound): the server could not find the requested resource"), "{error}");
    let error = cluster.kubectl(&["get", "gadgets"])?.failure()?;
    ensure!(error.contains("the server doesn't have a resource type \"gadgets\""), "{error}");
    Ok(())
}

fn a_protected_namespace_stays(cluster: &Cluster, _: &str) -> Result<()> {
    let error = cluster.kubectl(&["delete", "namespace", "default", "--timeout=5s"])?.failure()?;
    ensure!(error.contains("this namespace may not be deleted"), "{error}");
    Ok(())
}

fn a_watch_has_bookmarks(cluster: &Cluster, ns: &str) -> Result<()> {
    let list = cluster.raw_json(&format!("/api/v1/namespaces/{ns}/configmaps"), &[])?;
    let revision = list["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned();
    ensure!(!revision.is_empty(), "{list}");
    // A watch that ends by itself closes with a bookmark, so that the client can go on from there.
    let query = format!("watch=1&allowWatchBookmarks=true&timeoutSeconds=2&resourceVersion={revision}");
    let answer = output(&mut cluster.raw(&format!("/api/v1/namespaces/{ns}/configmaps?{query}"))?)?;
    let events = String::from_utf8_lossy(&answer.stdout).into_owned();
    let bookmark = events
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find(|event| event["type"] == "BOOKMARK");
    let known = bookmark
        .as_ref()
        .and_then(|event| event["object"]["metadata"]["resourceVersion"].as_str()?.parse::<u64>().ok());
    ensure!(known >= revision.parse::<u64>().ok(), "no bookmark in {events:?}");
    Ok(())
}
