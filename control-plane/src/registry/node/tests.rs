use super::*;
use crate::registry::cases::{refused, refused_update, with};

fn class() -> Value {
    json!({
        "apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": { "name": "gvisor" }, "handler": "runsc",
        "overhead": { "podFixed": { "memory": "64Mi" } },
        "scheduling": { "nodeSelector": { "a": "b" }, "tolerations": [{ "key": "k", "operator": "Exists" }] },
    })
}

#[test]
fn a_class_has_a_handler_that_stays() {
    let said = |changes: &[(&str, Value)]| refused(&RuntimeClassStrategy, &with(&class(), changes));
    assert_eq!(said(&[]), Vec::<String>::new());
    let handler = said(&[("/handler", json!("Run_C"))]);
    assert!(handler[0].starts_with("handler: Invalid value: \"Run_C\": a lowercase RFC 1123 label"), "{handler:?}");
    assert_eq!(
        said(&[("/overhead/podFixed/memory", json!("-1"))]),
        ["overhead.limits[memory]: Invalid value: \"-1\": must be greater than or equal to 0"]
    );
    assert_eq!(
        said(&[("/scheduling/tolerations/0/value", json!("v"))]),
        ["scheduling.tolerations[0].operator: Invalid value: \"v\": value must be empty when `operator` is 'Exists'"]
    );
    let other = with(&class(), &[("/handler", json!("kata"))]);
    assert_eq!(
        refused_update(&RuntimeClassStrategy, &other, &class()),
        ["handler: Invalid value: \"kata\": field is immutable"]
    );
}
