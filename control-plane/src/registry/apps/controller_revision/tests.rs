use serde_json::json;

use super::*;
use crate::registry::cases::{self, created, with};

#[test]
fn a_revision_has_data_that_stays() {
    let revision = json!({
        "apiVersion": "apps/v1", "kind": "ControllerRevision", "metadata": { "name": "r" },
        "data": { "spec": { "template": { "a": [1] } } },
    });
    assert_eq!(created(&ControllerRevisionStrategy, &revision)["revision"], 0);
    let wrong = with(&revision, &[("/revision", json!(-1)), ("/data", Value::Null)]);
    let expected =
        ["data: Required value: data is mandatory", "revision: Invalid value: -1: must be greater than or equal to 0"];
    assert_eq!(cases::refused(&ControllerRevisionStrategy, &wrong), expected);
    let later = with(&revision, &[("/revision", json!(3))]);
    assert_eq!(cases::refused_update(&ControllerRevisionStrategy, &later, &revision), Vec::<String>::new());
    let other = with(&revision, &[("/data", json!({ "x": 1 }))]);
    let expected = "data: Invalid value: {\"x\":1}: field is immutable";
    assert_eq!(cases::refused_update(&ControllerRevisionStrategy, &other, &revision), [expected]);
}
