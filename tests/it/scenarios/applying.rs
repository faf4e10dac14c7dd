//! Server-side apply and who owns what, as `kubectl` shows it. No pod runs.

use anyhow::{Context as _, Result, ensure};
use nodeplane_tests::bed::cluster::Cluster;
use serde_json::{Value, json};

use super::{hello, objects::CONFIG, scenarios};

scenarios![
    what_is_applied_twice_stays_and_what_is_left_out_goes,
    a_conflict_names_its_owner_and_can_be_forced,
    owners_are_shown_when_asked_for,
    client_side_apply_moves_to_the_server,
    diff_asks_the_server,
];

const APPLY: &str = "--server-side";

fn applied(cluster: &Cluster, ns: &str, manifest: &str, more: &[&str]) -> Result<String> {
    let args = [&["apply", "-n", ns, APPLY, "-f", "-"], more].concat();
    cluster.kubectl_with_input(&args, manifest)?.success(&args)
}

fn refused(cluster: &Cluster, ns: &str, manifest: &str, more: &[&str]) -> Result<String> {
    cluster.kubectl_with_input(&[&["apply", "-n", ns, APPLY, "-f", "-"], more].concat(), manifest)?.failure()
}

/// The object with the owners of its fields.
fn with_owners(cluster: &Cluster, ns: &str, what: &str, name: &str) -> Result<Value> {
    let text = cluster.run(&["get", "-n", ns, what, name, "-o", "json", "--show-managed-fields"])?;
    serde_json::from_str(&text).context("an object")
}

fn owners(object: &Value) -> Vec<(String, String)> {
    let text = |owner: &Value, field: &str| owner[field].as_str().unwrap_or_default().to_owned();
    let owners = object["metadata"]["managedFields"].as_array().into_iter().flatten();
    owners.map(|owner| (text(owner, "manager"), text(owner, "operation"))).collect()
}

fn what_is_applied_twice_stays_and_what_is_left_out_goes(cluster: &Cluster, ns: &str) -> Result<()> {
    let said = applied(cluster, ns, CONFIG, &[])?;
    ensure!(said == "configmap/c serverside-applied\n", "{said}");
    let first = with_owners(cluster, ns, "configmap", "c")?;
    applied(cluster, ns, CONFIG, &[])?;
    ensure!(with_owners(cluster, ns, "configmap", "c")? == first, "{first}");
    applied(cluster, ns, &CONFIG.replace(", l: w", ""), &[])?;
    let data = &cluster.get_in(ns, "configmap", "c")?["data"];
    ensure!(*data == json!({ "k": "v" }), "{data}");
    // Defaults, allocations and controllers do not count as changes.
    let workload = hello(0);
    applied(cluster, ns, &workload, &[])?;
    let said = applied(cluster, ns, &workload, &[])?;
    ensure!(said == "deployment.apps/hello serverside-applied\nservice/hello serverside-applied\n", "{said}");
    Ok(())
}

fn a_conflict_names_its_owner_and_can_be_forced(cluster: &Cluster, ns: &str) -> Result<()> {
    applied(cluster, ns, &hello(0), &["--field-manager=gitops"])?;
    let error = refused(cluster, ns, &hello(2), &["--field-manager=other"])?;
    ensure!(
        error.contains("Apply failed with 1 conflict: conflict with \"gitops\": .spec.replicas")
            && error.contains("--force-conflicts"),
        "{error}"
    );
    // Labels of two owners do not meet.
    let labelled = "{apiVersion: v1, kind: Service, metadata: {name: hello, labels: {team: a}}}";
    applied(cluster, ns, labelled, &["--field-manager=other"])?;
    applied(cluster, ns, &hello(0), &["--field-manager=gitops"])?;
    ensure!(cluster.get_in(ns, "service", "hello")?["metadata"]["labels"] == json!({ "team": "a" }));
    cluster.run(&["annotate", "-n", ns, "service/hello", "why=x", "--field-manager=hand"])?;
    let annotated = "{apiVersion: v1, kind: Service, metadata: {name: hello, annotations: {why: late}}}";
    let error = refused(cluster, ns, annotated, &["--field-manager=third"])?;
    ensure!(error.contains("conflict with \"hand\" using v1: .metadata.annotations.why"), "{error}");
    applied(cluster, ns, annotated, &["--field-manager=third", "--force-conflicts"])?;
    let service = with_owners(cluster, ns, "service", "hello")?;
    ensure!(service["metadata"]["annotations"]["why"] == "late", "{service}");
    // The map itself, which it made, stays its own.
    let entries = service["metadata"]["managedFields"].as_array().into_iter().flatten();
    let left: Vec<_> = entries.filter(|entry| entry["manager"] == "hand").map(|entry| &entry["fieldsV1"]).collect();
    ensure!(left == [&json!({ "f:metadata": { "f:annotations": {} } })], "{service}");
    Ok(())
}

fn owners_are_shown_when_asked_for(cluster: &Cluster, ns: &str) -> Result<()> {
    let args = ["create", "-n", ns, "-f", "-"];
    cluster.kubectl_with_input(&args, CONFIG)?.success(&args)?;
    let plain = cluster.run(&["get", "-n", ns, "configmap", "c", "-o", "yaml"])?;
    ensure!(!plain.contains("managedFields"), "{plain}");
    let shown = with_owners(cluster, ns, "configmap", "c")?;
    let owner = &shown["metadata"]["managedFields"][0];
    ensure!(owner["manager"] == "kubectl-create" && owner["operation"] == "Update", "{owner}");
    let fields = json!({
        "f:data": { ".": {}, "f:k": {}, "f:l": {} }, "f:metadata": { "f:labels": { ".": {}, "f:a": {} } },
    });
    ensure!(owner["fieldsV1"] == fields, "{owner}");
    cluster.run(&["label", "-n", ns, "configmap", "c", "a=x", "--overwrite"])?;
    let shown = with_owners(cluster, ns, "configmap", "c")?;
    ensure!(owners(&shown).iter().any(|(manager, _)| manager == "kubectl-label"), "{shown}");
    Ok(())
}

/// kubectl moves what it owned by itself before, and then there is nothing to force.
fn client_side_apply_moves_to_the_server(cluster: &Cluster, ns: &str) -> Result<()> {
    cluster.apply(ns, CONFIG)?;
    let before = owners(&with_owners(cluster, ns, "configmap", "c")?);
    ensure!(before == [("kubectl-client-side-apply".to_owned(), "Update".to_owned())], "{before:?}");
    applied(cluster, ns, &CONFIG.replace("k: v", "k: changed"), &[])?;
    let after = with_owners(cluster, ns, "configmap", "c")?;
    // The annotation gets an owner of its own, so that the way back stays open.
    let wanted = ["kubectl-last-applied", "kubectl"].map(|manager| (manager.to_owned(), "Apply".to_owned()));
    ensure!(owners(&after) == wanted, "{after}");
    ensure!(after["data"] == json!({ "k": "changed", "l": "w" }), "{after}");
    // What it left out goes now.
    applied(cluster, ns, &CONFIG.replace(", l: w", ""), &[])?;
    ensure!(cluster.get_in(ns, "configmap", "c")?["data"] == json!({ "k": "v" }));
    cluster.apply(ns, CONFIG)?;
    ensure!(cluster.get_in(ns, "configmap", "c")?["data"] == json!({ "k": "v", "l": "w" }));
    Ok(())
}

fn diff_asks_the_server(cluster: &Cluster, ns: &str) -> Result<()> {
    applied(cluster, ns, CONFIG, &[])?;
    let args = ["diff", "-n", ns, APPLY, "-f", "-"];
    let same = cluster.kubectl_with_input(&args, CONFIG)?;
    ensure!(same.code == 0 && same.stdout.is_empty(), "{same:?}");
    let other = cluster.kubectl_with_input(&args, &CONFIG.replace(", l: w", ""))?;
    ensure!(other.code == 1 && other.stdout.contains("-  l: w"), "{other:?}");
    ensure!(cluster.get_in(ns, "configmap", "c")?["data"] == json!({ "k": "v", "l": "w" }));
    Ok(())
}
