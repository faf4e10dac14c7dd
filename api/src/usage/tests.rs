use serde_json::json;

use super::*;
use crate::kinds;

fn kind(group: &str, plural: &str) -> &'static Kind {
    kinds::by_plural(group, "v1", plural).unwrap()
}

fn usage(group: &str, plural: &str, object: &Value) -> String {
    shown(&of(kind(group, plural), object, "2025-01-01T00:00:00Z".parse().unwrap()))
}

fn container(requests: &Value, limits: &Value) -> Value {
    json!({ "name": "c", "resources": { "requests": requests, "limits": limits } })
}

#[test]
fn everything_is_counted() {
    assert_eq!(usage("", "configmaps", &json!({})), "configmaps=1,count/configmaps=1");
    assert_eq!(usage("apps", "deployments", &json!({})), "count/deployments.apps=1");
    assert!(is_counted(kind("", "pods")) && !is_counted(kind("", "events")) && !is_counted(kind("", "nodes")));
    assert!(is_about(kind("apps", "deployments"), "count/deployments.apps"));
    assert!(!is_about(kind("apps", "deployments"), "count/deployments"));
    assert!(is_about(kind("", "secrets"), "secrets") && !is_about(kind("", "secrets"), "configmaps"));
    for name in ["pods", "count/pods", "cpu", "limits.memory", "requests.nvidia.com/gpu", "hugepages-2Mi"] {
        assert!(is_about(kind("", "pods"), name), "{name}");
    }
    for name in ["requests.storage", "services", "nvidia.com/gpu"] {
        assert!(!is_about(kind("", "pods"), name), "{name}");
    }
}

#[test]
fn a_pod_uses_what_its_containers_have_together() {
    let pod = json!({ "spec": {
        "containers": [
            container(&json!({ "cpu": "100m", "memory": "1Mi", "nvidia.com/gpu": "1" }), &json!({ "cpu": "1" })),
            container(&json!({ "cpu": "200m" }), &json!({ "memory": "2Mi" })),
        ],
        "overhead": { "cpu": "50m", "memory": "1Mi" },
    } });
    assert_eq!(
        usage("", "pods", &pod),
        "count/pods=1,cpu=350m,limits.cpu=1050m,limits.memory=3Mi,memory=2Mi,pods=1,requests.cpu=350m,requests.memory=2Mi,\
         requests.nvidia.com/gpu=1"
    );
    let mut ended = pod.clone();
    ended["status"]["phase"] = "Succeeded".into();
    assert_eq!(usage("", "pods", &ended), "count/pods=1");
    let mut late = pod;
    late["metadata"] = json!({ "deletionTimestamp": "2024-12-31T23:59:00Z", "deletionGracePeriodSeconds": 30 });
    assert_eq!(usage("", "pods", &late), "count/pods=1");
    late["metadata"]["deletionGracePeriodSeconds"] = 60.into();
    assert!(usage("", "pods", &late).contains("pods=1,requests.cpu"));
}

#[test]
fn init_containers_run_before_and_sidecars_beside() {
    let cpu = |cpu: &str| container(&json!({ "cpu": cpu }), &json!({}));
    let mut sidecar = cpu("100m");
    sidecar["restartPolicy"] = "Always".into();
    let spec = |containers: &Value, init: &Value| {
        shown(&total(&json!({ "containers": containers, "initContainers": init }), "requests"))
    };
    assert_eq!(spec(&json!([cpu("1")]), &json!([cpu("500m")])), "cpu=1");
    assert_eq!(spec(&json!([cpu("1")]), &json!([cpu("3"), cpu("2")])), "cpu=3");
    assert_eq!(spec(&json!([cpu("1")]), &json!([sidecar, cpu("2")])), "cpu=2100m");
    assert_eq!(spec(&json!([cpu("1")]), &json!([cpu("2"), sidecar])), "cpu=2");
    assert_eq!(spec(&json!([cpu("2")]), &json!([sidecar])), "cpu=2100m");
}

#[test]
fn what_is_limited_must_be_stated() {
    let spec = json!({
        "containers": [
            { "name": "a", "resources": { "requests": { "cpu": "1" } } }, { "name": "b" },
        ],
        "initContainers": [{ "name": "i", "resources": { "limits": { "memory": "1Mi" } } }],
    });
    let missing = |names: &[&'static str]| missing(&spec, names.iter().copied());
    assert_eq!(missing(&["pods", "requests.ephemeral-storage"]), None);
    assert_eq!(missing(&["requests.cpu"]).as_deref(), Some("must specify requests.cpu for: b,i"));
    assert_eq!(
        missing(&["limits.memory", "cpu"]).as_deref(),
        Some("must specify cpu for: b,i; limits.memory for: a,b")
    );
}

#[test]
fn claims_and_services() {
    let claim = json!({ "spec": { "storageClassName": "gold", "resources": { "requests": { "storage": "2Gi" } } } });
    assert_eq!(
        usage("", "persistentvolumeclaims", &claim),
        "count/persistentvolumeclaims=1,gold.storageclass.storage.k8s.io/persistentvolumeclaims=1,\
         gold.storageclass.storage.k8s.io/requests.storage=2Gi,persistentvolumeclaims=1,requests.storage=2Gi"
    );
    let service = |spec: Value| usage("", "services", &json!({ "spec": spec }));
    let ports = json!([{ "nodePort": 30_000 }, {}]);
    assert_eq!(
        service(json!({ "type": "ClusterIP", "ports": ports })),
        "count/services=1,services=1,services.loadbalancers=0,services.nodeports=0"
    );
    assert!(service(json!({ "type": "NodePort", "ports": ports })).ends_with("loadbalancers=0,services.nodeports=2"));
    let few = json!({ "type": "LoadBalancer", "ports": ports, "allocateLoadBalancerNodePorts": false });
    assert!(service(few).ends_with("services.loadbalancers=1,services.nodeports=1"));
}

#[test]
fn scopes_choose_pods() {
    let pods = kind("", "pods");
    let plain = json!({ "spec": { "containers": [{ "name": "c" }] } });
    let asking = json!({ "spec": { "containers": [container(&json!({ "cpu": "1" }), &json!({}))],
                                   "activeDeadlineSeconds": 5, "priorityClassName": "high" } });
    let scope = |scope: &str, pod: &Value| chooses(&json!({ "scopes": [scope] }), pods, pod);
    for (name, plain_is_in, asking_is_in) in [
        ("BestEffort", true, false),
        ("NotBestEffort", false, true),
        ("Terminating", false, true),
        ("NotTerminating", true, false),
        ("PriorityClass", false, true),
        ("CrossNamespacePodAffinity", false, false),
    ] {
        assert_eq!((scope(name, &plain), scope(name, &asking)), (plain_is_in, asking_is_in), "{name}");
    }
    let class = |operator: &str, pod: &Value| {
        let expression = json!({ "scopeName": "PriorityClass", "operator": operator, "values": ["high"] });
        chooses(&json!({ "scopeSelector": { "matchExpressions": [expression] } }), pods, pod)
    };
    assert_eq!((class("In", &asking), class("In", &plain)), (true, false));
    assert_eq!((class("NotIn", &asking), class("NotIn", &plain)), (false, true));
    assert!(chooses(&json!({}), kind("", "services"), &json!({})));
    assert!(!chooses(&json!({ "scopes": ["NotTerminating"] }), kind("", "services"), &json!({})));
    let term = json!({ "requiredDuringSchedulingIgnoredDuringExecution": [{ "namespaces": ["other"] }] });
    let neighbour = json!({ "spec": { "affinity": { "podAffinity": term } } });
    assert!(scope("CrossNamespacePodAffinity", &neighbour));
}
