use serde_json::json;

use crate::columns::tests::{cells_of, check, headings};

const WIDE: &str = "Age | (Containers) | (Images)";

#[test]
fn the_headings_are_those_of_upstream() {
    for (kind, expected) in [
        ("ReplicationController", format!("Name | Desired | Current | Ready | {WIDE} | (Selector)")),
        ("StatefulSet", format!("Name | Ready | {WIDE}")),
        (
            "DaemonSet",
            format!("Name | Desired | Current | Ready | Up-to-date | Available | Node Selector | {WIDE} | (Selector)"),
        ),
        ("ControllerRevision", "Name | Controller | Revision | Age".to_owned()),
        ("PodTemplate", "Name | Containers | Images | Pod Labels".to_owned()),
    ] {
        assert_eq!(headings(kind), expected);
    }
}

#[test]
fn a_replication_controller_shows_its_counts_and_plain_labels() {
    let containers = json!([{ "name": "a", "image": "img:1" }, { "name": "b", "image": "img:2" }]);
    let controller = json!({
        "metadata": { "name": "web", "creationTimestamp": "2025-06-01T11:57:57Z" },
        "spec": {
            "replicas": 3, "selector": { "tier": "front", "app": "web" },
            "template": { "spec": { "containers": containers } },
        },
        "status": { "replicas": 2, "readyReplicas": 1 },
    });
    let expected = ["web", "3", "2", "1", "2m3s", "a,b", "img:1,img:2", "app=web,tier=front"];
    check("", "replicationcontrollers", &controller, &expected);
    let without = json!({ "metadata": { "name": "web" }, "spec": { "replicas": 0 } });
    let expected = ["web", "0", "0", "0", "<unknown>", "", "", "<none>"];
    check("", "replicationcontrollers", &without, &expected);
}

#[test]
fn a_stateful_set_shows_what_is_ready() {
    let set = json!({
        "metadata": { "name": "db", "creationTimestamp": "2025-06-01T11:57:57Z" },
        "spec": { "replicas": 3, "template": { "spec": { "containers": [{ "name": "a", "image": "img:1" }] } } },
        "status": { "replicas": 3, "readyReplicas": 2 },
    });
    check("apps", "statefulsets", &set, &["db", "2/3", "2m3s", "a", "img:1"]);
}

#[test]
fn a_daemon_set_shows_its_nodes() {
    let set = json!({
        "metadata": { "name": "log", "creationTimestamp": "2025-06-01T11:57:57Z" },
        "spec": {
            "selector": { "matchLabels": { "app": "log" } },
            "template": { "spec": {
                "nodeSelector": { "disk": "ssd", "arch": "amd64" }, "containers": [{ "name": "a", "image": "img:1" }],
            } },
        },
        "status": {
            "desiredNumberScheduled": 5, "currentNumberScheduled": 4, "numberReady": 3, "updatedNumberScheduled": 2,
            "numberAvailable": 1,
        },
    });
    let counts = ["log", "5", "4", "3", "2", "1"];
    let rest = ["arch=amd64,disk=ssd", "2m3s", "a", "img:1", "app=log"];
    check("apps", "daemonsets", &set, &[&counts[..], &rest[..]].concat());
    let everywhere = json!({ "spec": { "template": { "spec": {} } } });
    assert_eq!(cells_of("apps", "daemonsets", &everywhere)[6], "<none>");
}

#[test]
fn a_revision_names_its_controller() {
    let owner = |api_version: &str, controller: bool| json!({ "apiVersion": api_version, "kind": "StatefulSet", "name": "db", "controller": controller });
    for (owners, expected) in [
        (json!([owner("apps/v1", true)]), "statefulset.apps/db"),
        (json!([owner("v1", true)]), "statefulset/db"),
        (json!([owner("apps/v1", false)]), "<none>"),
        (json!([]), "<none>"),
    ] {
        let revision = json!({
            "metadata": { "name": "db-1", "ownerReferences": owners, "creationTimestamp": "2025-06-01T11:59:55Z" },
            "revision": 7,
        });
        check("apps", "controllerrevisions", &revision, &["db-1", expected, "7", "5s"]);
    }
}

#[test]
fn a_template_shows_what_it_makes() {
    let template = json!({
        "metadata": { "name": "t" },
        "template": {
            "metadata": { "labels": { "b": "2", "a": "1" } },
            "spec": { "containers": [{ "name": "a", "image": "img:1" }, { "name": "b", "image": "img:2" }] },
        },
    });
    check("", "podtemplates", &template, &["t", "a,b", "img:1,img:2", "a=1,b=2"]);
}
