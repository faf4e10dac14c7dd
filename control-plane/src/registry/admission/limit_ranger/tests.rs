use serde_json::json;

use super::*;

fn pod(resources: &Value) -> Value {
    json!({ "metadata": { "name": "web" }, "spec": {
        "containers": [{ "name": "c", "resources": resources }, { "name": "d" }], "initContainers": [{ "name": "i" }],
    } })
}

#[test]
fn containers_get_what_they_do_not_state() {
    let limits = [
        json!({ "type": "Container", "default": { "cpu": "1", "memory": "1Gi" }, "defaultRequest": { "cpu": "500m" } }),
    ];
    let mut filled = pod(&json!({ "limits": { "cpu": "2" } }));
    fill(&mut filled, &limits);
    let given = json!({ "limits": { "cpu": "1", "memory": "1Gi" }, "requests": { "cpu": "500m" } });
    let own = json!({ "limits": { "cpu": "2", "memory": "1Gi" }, "requests": { "cpu": "500m" } });
    let resources = |list: &str, index: usize| &filled["spec"][list][index]["resources"];
    assert_eq!((resources("containers", 0), resources("containers", 1)), (&own, &given));
    assert_eq!(resources("initContainers", 0), &given);
    assert_eq!(
        filled["metadata"]["annotations"][ANNOTATION],
        "LimitRanger plugin set: cpu request for container c; memory limit for container c; cpu request for container d; \
         cpu, memory limit for container d; cpu request for init container i; cpu, memory limit for init container i"
    );
    let mut same = pod(&json!({}));
    fill(&mut same, &[json!({ "type": "Pod", "max": { "cpu": "1" } })]);
    assert_eq!(same, pod(&json!({})));
}

fn beyond(resources: &Value, limit: Value) -> Vec<String> {
    let pod = json!({ "spec": { "containers": [{ "name": "c", "resources": resources }] } });
    bounds::of_pod(&pod, &[limit])
}

#[test]
fn limits_are_told_in_upstreams_words() {
    let resources = json!({ "requests": { "cpu": "500m" }, "limits": { "cpu": "2" } });
    let bound = |kind: &str, list: &str, amount: &str| json!({ "type": kind, list: { "cpu": amount } });
    for kind in ["Container", "Pod"] {
        assert_eq!(beyond(&resources, bound(kind, "min", "500m")), Vec::<String>::new());
        assert_eq!(beyond(&resources, bound(kind, "max", "2")), Vec::<String>::new());
        assert_eq!(beyond(&resources, bound(kind, "maxLimitRequestRatio", "4")), Vec::<String>::new());
        assert_eq!(
            beyond(&resources, bound(kind, "min", "600m")),
            [format!("minimum cpu usage per {kind} is 600m, but request is 500m")]
        );
        assert_eq!(
            beyond(&resources, bound(kind, "max", "1")),
            [format!("maximum cpu usage per {kind} is 1, but limit is 2")]
        );
        assert_eq!(
            beyond(&resources, bound(kind, "maxLimitRequestRatio", "3")),
            [format!("cpu max limit to request ratio per {kind} is 3, but provided ratio is 4.000000")]
        );
        assert_eq!(
            beyond(&json!({}), bound(kind, "min", "1")),
            [format!("minimum cpu usage per {kind} is 1.  No request is specified")]
        );
        assert_eq!(
            beyond(&json!({}), bound(kind, "max", "1")),
            [format!("maximum cpu usage per {kind} is 1.  No limit is specified")]
        );
        assert_eq!(
            beyond(&json!({}), bound(kind, "maxLimitRequestRatio", "3")),
            [format!("cpu max limit to request ratio per {kind} is 3, but no request is specified or request is 0")]
        );
    }
}

#[test]
fn claims_have_a_size_between() {
    let claim = json!({ "spec": { "resources": { "requests": { "storage": "2Gi" } } } });
    let told = |list: &str, size: &str| {
        bounds::of_claim(&claim, &[json!({ "type": "PersistentVolumeClaim", list: { "storage": size } })])
    };
    assert_eq!((told("max", "2Gi"), told("min", "2Gi")), (Vec::new(), Vec::new()));
    assert_eq!(told("max", "1Gi"), ["maximum storage usage per PersistentVolumeClaim is 1Gi, but request is 2Gi"]);
    assert_eq!(told("min", "3Gi"), ["minimum storage usage per PersistentVolumeClaim is 3Gi, but request is 2Gi"]);
}
