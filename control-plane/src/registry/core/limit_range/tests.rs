use serde_json::json;

use super::*;
use crate::registry::cases::{created, refused};

fn range(limit: &Value) -> Value {
    let metadata = json!({ "name": "l", "namespace": "shop" });
    json!({ "apiVersion": "v1", "kind": "LimitRange", "metadata": metadata, "spec": { "limits": [limit] } })
}

#[test]
fn containers_get_the_most_and_ask_for_what_they_get() {
    let limit = |given: Value| created(&LimitRangeStrategy, &range(&given))["spec"]["limits"][0].clone();
    let filled = limit(json!({ "type": "Container", "max": { "cpu": "2" }, "min": { "memory": "1Mi" } }));
    assert_eq!(filled["default"], json!({ "cpu": "2" }));
    assert_eq!(filled["defaultRequest"], json!({ "cpu": "2", "memory": "1Mi" }));
    let own = limit(json!({ "type": "Container", "max": { "cpu": "2" }, "default": { "cpu": "1" } }));
    assert_eq!((&own["default"]["cpu"], &own["defaultRequest"]["cpu"]), (&json!("1"), &json!("1")));
    assert_eq!(limit(json!({ "type": "Pod", "max": { "cpu": "2" } })).get("default"), None);
}

fn said(limit: &Value) -> Vec<String> {
    refused(&LimitRangeStrategy, &range(limit))
}

#[test]
fn limits_are_of_known_things() {
    assert_eq!(said(&json!({ "type": "Pod", "max": { "cpu": "1", "memory": "1Gi" } })), Vec::<String>::new());
    assert_eq!(
        said(&json!({ "type": "Node" })),
        ["spec.limits[0].type: Invalid value: \"Node\": must be a standard limit type or fully qualified"]
    );
    assert_eq!(
        said(&json!({ "type": "Pod", "default": { "cpu": "1" } })),
        ["spec.limits[0].default: Forbidden: may not be specified when `type` is 'Pod'"]
    );
    assert_eq!(said(&json!({ "type": "PersistentVolumeClaim", "max": { "storage": "1Gi" } })), Vec::<String>::new());
    assert_eq!(
        said(&json!({ "type": "PersistentVolumeClaim" })),
        [
            "spec.limits[0].limits: Required value: either minimum or maximum storage value is required, but neither was \
          provided"
        ]
    );
    assert_eq!(
        said(&json!({ "type": "Pod", "max": { "hats": "1" } })),
        [
            "spec.limits[0].max[hats]: Invalid value: \"hats\": must be a standard resource type or fully qualified",
            "spec.limits[0].max[hats]: Invalid value: \"hats\": must be a standard resource for containers",
        ]
    );
    let two = json!({ "type": "Pod" });
    let both = json!({ "apiVersion": "v1", "kind": "LimitRange", "metadata": { "name": "l" }, "spec": { "limits": [two, two] } });
    assert_eq!(refused(&LimitRangeStrategy, &both), ["spec.limits[1].type: Duplicate value: \"Pod\""]);
}

#[test]
fn amounts_fit_together() {
    let quantity = |value: i64, scale: i64, format: &str| {
        format!(
            "resource.Quantity{{i:resource.int64Amount{{value:{value}, scale:{scale}}}, \
             d:resource.infDecAmount{{Dec:(*inf.Dec)(nil)}}, s:\"\", Format:\"{format}\"}}"
        )
    };
    let at = "spec.limits[0]";
    assert_eq!(
        said(&json!({ "type": "Pod", "min": { "cpu": "2" }, "max": { "cpu": "500m" } })),
        [format!(
            "{at}.min[cpu]: Invalid value: {}: min value 2 is greater than max value 500m",
            quantity(2, 0, "DecimalSI")
        )]
    );
    assert_eq!(
        said(&json!({ "type": "Container", "default": { "memory": "1Gi" }, "max": { "memory": "512Mi" },
                      "defaultRequest": { "memory": "1Mi" } })),
        [format!(
            "{at}.default[memory]: Invalid value: {}: default value 1Gi is greater than max value 512Mi",
            quantity(536_870_912, 0, "BinarySI")
        )]
    );
    assert_eq!(
        said(&json!({ "type": "Container", "default": { "cpu": "1" }, "defaultRequest": { "cpu": "1500m" } })),
        [format!(
            "{at}.defaultRequest[cpu]: Invalid value: {}: default request value 1500m is greater than default limit value 1",
            quantity(1500, -3, "DecimalSI")
        )]
    );
    assert_eq!(
        said(
            &json!({ "type": "Pod", "min": { "cpu": "1" }, "max": { "cpu": "3" }, "maxLimitRequestRatio": { "cpu": "4" } })
        ),
        [format!(
            "{at}.maxLimitRequestRatio[cpu]: Invalid value: {}: ratio 4 is greater than max/min = 3.000000",
            quantity(4, 0, "DecimalSI")
        )]
    );
    let low = said(&json!({ "type": "Pod", "maxLimitRequestRatio": { "cpu": "500m" } }));
    assert!(low[0].ends_with("ratio 500m is less than 1"), "{low:?}");
}
