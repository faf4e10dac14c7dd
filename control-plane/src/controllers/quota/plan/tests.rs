use nodeplane_api::kinds;
use serde_json::json;

use super::*;
use crate::controllers::world::object;

fn pod(cpu: &str, phase: &str) -> Value {
    json!({ "spec": { "containers": [{ "name": "c", "resources": { "requests": { "cpu": cpu } } }] },
            "status": { "phase": phase } })
}

#[test]
fn pods_that_run_are_added_up() {
    let pods = kinds::by_plural("", "v1", "pods").unwrap();
    let objects = [pod("500m", "Running"), pod("1", "Pending"), pod("4", "Succeeded")];
    let count = |spec: Value| {
        let names = ["pods", "count/pods", "requests.cpu", "limits.cpu"];
        usage::shown(&used(pods, &names, &spec, &objects, Timestamp::UNIX_EPOCH))
    };
    assert_eq!(count(json!({})), "count/pods=3,limits.cpu=0,pods=2,requests.cpu=1500m");
    assert_eq!(count(json!({ "scopes": ["BestEffort"] })), "count/pods=0,limits.cpu=0,pods=0,requests.cpu=0");
}

#[test]
fn a_status_repeats_what_is_allowed_and_says_what_is_used() {
    let quota: ResourceQuota =
        object(json!({ "metadata": { "name": "q" }, "spec": { "hard": { "pods": "4", "x/y": "1" } } }));
    let used = Amounts::from([("pods".to_owned(), Quantity::from_units(2)), ("other".to_owned(), Quantity::ZERO)]);
    let status = serde_json::to_value(status(&quota, &used)).unwrap();
    assert_eq!(status, json!({ "hard": { "pods": "4", "x/y": "1" }, "used": { "pods": "2" } }));
}
