use serde_json::{Value, json};

use super::{applied, config_map, must, writer, written};
use crate::apply::ApplyError;

const ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// An object after `kubectl apply` without the server's help.
fn client_side(data: Value) -> Value {
    let config = config_map(data.clone());
    let mut object = config_map(data);
    object["metadata"]["annotations"] = json!({ ANNOTATION: format!("{config}\n") });
    written(&writer("ConfigMap", "kubectl-client-side-apply", 0), None, object)
}

#[test]
fn kubectl_has_no_conflict_with_its_former_self() {
    let live = client_side(json!({ "x": "1" }));
    let next = must(&writer("ConfigMap", "kubectl", 1), Some(&live), &config_map(json!({ "x": "2" })));
    assert_eq!(next["data"], json!({ "x": "2" }));
    let said: Value = serde_json::from_str(next["metadata"]["annotations"][ANNOTATION].as_str().unwrap()).unwrap();
    assert_eq!(said, config_map(json!({ "x": "2" })));
    let other = applied(&writer("ConfigMap", "other", 1), Some(&live), &config_map(json!({ "x": "2" })), false);
    assert_eq!(
        other.unwrap_err().to_string(),
        "Apply failed with 1 conflict: conflict with \"kubectl-client-side-apply\" using v1: .data.x"
    );
}

#[test]
fn what_others_changed_since_is_a_conflict_also_for_kubectl() {
    let live = client_side(json!({ "x": "1", "y": "1" }));
    let mut changed = live.clone();
    changed["data"]["x"] = "9".into();
    let live = written(&writer("ConfigMap", "edit", 1), Some(&live), changed);
    let config = config_map(json!({ "x": "2", "y": "2" }));
    let Err(ApplyError::Conflicts(conflicts)) =
        applied(&writer("ConfigMap", "kubectl", 2), Some(&live), &config, false)
    else {
        panic!("no conflict")
    };
    let told: Vec<(String, String)> = conflicts.iter().map(|conflict| (conflict.field(), conflict.owner())).collect();
    assert_eq!(told, [(".data.x".to_owned(), "\"edit\" using v1".to_owned())]);
    let forced = applied(&writer("ConfigMap", "kubectl", 2), Some(&live), &config, true).unwrap();
    assert_eq!(forced["data"], json!({ "x": "2", "y": "2" }));
}
