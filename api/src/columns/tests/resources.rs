//! Kinds that say what others may use, and how.

use serde_json::{Value, json};

use super::{cells_of, check};

const NETWORKING: &str = "networking.k8s.io";
const RBAC: &str = "rbac.authorization.k8s.io";
const STORAGE: &str = "storage.k8s.io";

fn metadata(name: &str) -> Value {
    json!({ "name": name, "creationTimestamp": "2025-06-01T11:59:55Z" })
}

#[test]
fn an_ingress_shows_its_hosts_and_where_it_answers() {
    let ingress = json!({
        "metadata": metadata("web"),
        "spec": { "ingressClassName": "nginx", "tls": [{}], "rules": [{ "host": "a.example" }, { "host": "b.example" }] },
        "status": { "loadBalancer": { "ingress": [{ "ip": "192.0.2.9" }, { "hostname": "lb.example" }] } },
    });
    let expected = ["web", "nginx", "a.example,b.example", "192.0.2.9,lb.example", "80, 443", "5s"];
    check(NETWORKING, "ingresses", &ingress, &expected);
    check(NETWORKING, "ingresses", &json!({}), &["", "<none>", "*", "", "80", "<unknown>"]);
    let hosts = |hosts: &[&str]| {
        let rules: Value = hosts.iter().map(|host| json!({ "host": host })).collect();
        cells_of(NETWORKING, "ingresses", &json!({ "spec": { "rules": rules } }))[2].clone()
    };
    assert_eq!(hosts(&["a", "b", "c"]), "a,b,c");
    assert_eq!(hosts(&["a", "b", "c", "d", "e"]), "a,b,c + 2 more...");
    assert_eq!(hosts(&["", "a", ""]), "a");
    // A rule without a host counts once there are enough.
    assert_eq!(hosts(&["a", "b", "c", ""]), "a,b,c + 1 more...");
}

#[test]
fn classes_and_policies_of_the_network() {
    let class = |parameters: Value| {
        let spec = json!({ "controller": "example.com/ingress", "parameters": parameters });
        json!({ "metadata": metadata("c"), "spec": spec })
    };
    let with_group = class(json!({ "apiGroup": "k8s.example.com", "kind": "Settings", "name": "s" }));
    let expected = ["c", "example.com/ingress", "Settings.k8s.example.com/s", "5s"];
    check(NETWORKING, "ingressclasses", &with_group, &expected);
    let without = class(json!({ "kind": "ConfigMap", "name": "s" }));
    assert_eq!(cells_of(NETWORKING, "ingressclasses", &without)[2], "ConfigMap/s");
    check(NETWORKING, "ingressclasses", &json!({}), &["", "", "<none>", "<unknown>"]);

    let policy = json!({ "metadata": metadata("p"), "spec": { "podSelector": { "matchLabels": { "app": "web" } } } });
    check(NETWORKING, "networkpolicies", &policy, &["p", "app=web", "5s"]);
    let all = json!({ "spec": { "podSelector": {} } });
    assert_eq!(cells_of(NETWORKING, "networkpolicies", &all)[1], "<none>");
}

#[test]
fn a_budget_shows_what_it_allows() {
    let budget =
        |spec: Value| json!({ "metadata": metadata("b"), "spec": spec, "status": { "disruptionsAllowed": 2 } });
    let pods = |spec: Value| cells_of("policy", "poddisruptionbudgets", &budget(spec));
    assert_eq!(pods(json!({ "minAvailable": 1 })), ["b", "1", "N/A", "2", "5s"]);
    assert_eq!(pods(json!({ "maxUnavailable": "25%" })), ["b", "N/A", "25%", "2", "5s"]);
}

#[test]
fn bindings_show_who_gets_what() {
    let binding = json!({
        "metadata": metadata("b"),
        "roleRef": { "kind": "ClusterRole", "name": "view" },
        "subjects": [
            { "kind": "User", "name": "jane" }, { "kind": "User", "name": "joe" }, { "kind": "Group", "name": "devs" },
            { "kind": "ServiceAccount", "namespace": "shop", "name": "robot" },
        ],
    });
    for plural in ["rolebindings", "clusterrolebindings"] {
        check(RBAC, plural, &binding, &["b", "ClusterRole/view", "5s", "jane, joe", "devs", "shop/robot"]);
    }
    let role = json!({ "metadata": metadata("r") });
    for plural in ["roles", "clusterroles"] {
        check(RBAC, plural, &role, &["r", "2025-06-01T11:59:55Z"]);
    }
}

#[test]
fn classes_of_pods() {
    let class = json!({ "metadata": metadata("high"), "value": 1000, "globalDefault": true,
                        "preemptionPolicy": "PreemptLowerPriority" });
    let expected = ["high", "1000", "true", "5s", "PreemptLowerPriority"];
    check("scheduling.k8s.io", "priorityclasses", &class, &expected);
    check("scheduling.k8s.io", "priorityclasses", &json!({}), &["", "0", "false", "<unknown>", ""]);
    let runtime = json!({ "metadata": metadata("gvisor"), "handler": "runsc" });
    check("node.k8s.io", "runtimeclasses", &runtime, &["gvisor", "runsc", "5s"]);
}

#[test]
fn quotas_show_what_is_used_of_what() {
    let quota = json!({
        "metadata": metadata("q"),
        "status": {
            "hard": { "requests.cpu": "2", "pods": "4", "limits.memory": "1Gi", "limits.cpu": "4" },
            "used": { "pods": "1", "requests.cpu": "500m", "limits.cpu": "1" },
        },
    });
    let expected = ["q", "pods: 1/4, requests.cpu: 500m/2", "limits.cpu: 1/4, limits.memory: 0/1Gi", "5s"];
    check("", "resourcequotas", &quota, &expected);
    check("", "resourcequotas", &json!({}), &["", "", "", "<unknown>"]);
    check("", "limitranges", &json!({ "metadata": metadata("l") }), &["l", "2025-06-01T11:59:55Z"]);
}

#[test]
fn volumes_and_claims() {
    let volume = json!({
        "metadata": metadata("v"),
        "spec": {
            "capacity": { "storage": "1Gi" }, "accessModes": ["ReadWriteMany", "ReadWriteOnce"], "volumeMode": "Block",
            "persistentVolumeReclaimPolicy": "Retain", "storageClassName": "fast",
            "claimRef": { "namespace": "shop", "name": "data" }, "volumeAttributesClassName": "gold",
        },
        "status": { "phase": "Bound", "reason": "why" },
    });
    let expected = ["v", "1Gi", "RWO,RWX", "Retain", "Bound", "shop/data", "fast", "gold", "why", "5s", "Block"];
    check("", "persistentvolumes", &volume, &expected);
    let expected = ["", "0", "", "", "", "", "", "<unset>", "", "<unknown>", "<unset>"];
    check("", "persistentvolumes", &json!({}), &expected);

    let mut claim = json!({
        "metadata": metadata("c"),
        "spec": { "volumeName": "v", "storageClassName": "fast", "volumeMode": "Filesystem" },
        "status": { "phase": "Bound", "capacity": { "storage": "1Gi" }, "accessModes": ["ReadWriteOncePod"] },
    });
    let bound = ["c", "Bound", "v", "1Gi", "RWOP", "fast", "<unset>", "5s", "Filesystem"];
    check("", "persistentvolumeclaims", &claim, &bound);
    claim["metadata"]["annotations"] = json!({ "volume.beta.kubernetes.io/storage-class": "old" });
    claim["metadata"]["deletionTimestamp"] = "2025-06-01T12:00:00Z".into();
    claim["spec"]["volumeName"] = "".into();
    let going = ["c", "Terminating", "", "", "", "old", "<unset>", "5s", "Filesystem"];
    check("", "persistentvolumeclaims", &claim, &going);
}

#[test]
fn what_provides_volumes() {
    let mut class = json!({
        "metadata": metadata("fast"), "provisioner": "example.com/disk", "reclaimPolicy": "Retain",
        "volumeBindingMode": "WaitForFirstConsumer", "allowVolumeExpansion": true,
    });
    let expected = ["fast", "example.com/disk", "Retain", "WaitForFirstConsumer", "true", "5s"];
    check(STORAGE, "storageclasses", &class, &expected);
    class["metadata"]["annotations"] = json!({ "storageclass.kubernetes.io/is-default-class": "true" });
    assert_eq!(cells_of(STORAGE, "storageclasses", &class)[0], "fast (default)");
    check(STORAGE, "storageclasses", &json!({}), &["", "", "Delete", "Immediate", "false", "<unknown>"]);

    let driver = json!({
        "metadata": metadata("d"),
        "spec": { "attachRequired": false, "podInfoOnMount": true, "requiresRepublish": true,
                  "tokenRequests": [{ "audience": "a" }, { "audience": "b" }],
                  "volumeLifecycleModes": ["Persistent", "Ephemeral"] },
    });
    let expected = ["d", "false", "true", "false", "a,b", "true", "Persistent,Ephemeral", "5s"];
    check(STORAGE, "csidrivers", &driver, &expected);
    let expected = ["", "true", "false", "false", "<unset>", "false", "<none>", "<unknown>"];
    check(STORAGE, "csidrivers", &json!({}), &expected);

    let node = json!({ "metadata": metadata("n"), "spec": { "drivers": [{}, {}] } });
    check(STORAGE, "csinodes", &node, &["n", "2", "5s"]);
    let capacity = json!({ "metadata": metadata("s"), "storageClassName": "fast", "capacity": "5Gi" });
    check(STORAGE, "csistoragecapacities", &capacity, &["s", "fast", "5Gi"]);
    check(STORAGE, "csistoragecapacities", &json!({}), &["", "", "<unset>"]);
    let attachment = json!({
        "metadata": metadata("a"), "status": { "attached": true },
        "spec": { "attacher": "example.com/disk", "nodeName": "n", "source": { "persistentVolumeName": "v" } },
    });
    check(STORAGE, "volumeattachments", &attachment, &["a", "example.com/disk", "v", "n", "true", "5s"]);
}
