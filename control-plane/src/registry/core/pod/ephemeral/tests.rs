use serde_json::json;

use super::*;
use crate::registry::cases::{said, with};

fn pod(containers: Value) -> Value {
    let mut pod = json!({ "metadata": { "name": "web" }, "spec": {} });
    pod["spec"]["ephemeralContainers"] = containers;
    pod
}

fn told(now: Value, before: Value) -> Vec<String> {
    said(&validate_update(&pod(now), &pod(before)))
}

#[test]
fn containers_come_and_stay_as_they_are() {
    let (a, b) = (json!({ "name": "a", "image": "x" }), json!({ "name": "b", "image": "x" }));
    assert_eq!(told(json!([a]), Value::Null), Vec::<String>::new());
    assert_eq!(told(json!([b, a]), json!([a])), Vec::<String>::new());
    assert_eq!(
        told(json!([b]), json!([a])),
        ["spec.ephemeralContainers: Forbidden: existing ephemeral containers \"a\" may not be removed\n"]
    );
    assert_eq!(
        told(json!([with(&a, &[("/image", json!("y"))])]), json!([a])),
        ["spec.ephemeralContainers: Forbidden: existing ephemeral containers \"a\" may not be changed\n\
          - spec.ephemeralContainers[0].image: \"x\"\n+ spec.ephemeralContainers[0].image: \"y\"\n"]
    );
    let mirror = with(&pod(json!([])), &[("/metadata/annotations", json!({ MIRROR: "x" }))]);
    let refused = said(&validate_update(&pod(json!([a])), &mirror));
    assert_eq!(refused, [": Forbidden: static pods do not support ephemeral containers"]);
}
