//! Metrics of an autoscaler in its two forms: amounts below a `target` or a `current`, and amounts
//! whose names say what they are.

use serde_json::{Map, Value, json};

/// Fields by where they stand in `autoscaling/v2` and by their names in `autoscaling/v1`.
type Fields = &'static [(&'static str, &'static str)];

/// What a metric asks for, by the source that its `type` names.
const WANTED: [(&str, Fields); 5] = [
    (
        "resource",
        &[
            ("/name", "name"),
            ("/target/averageUtilization", "targetAverageUtilization"),
            ("/target/averageValue", "targetAverageValue"),
        ],
    ),
    (
        "containerResource",
        &[
            ("/name", "name"),
            ("/container", "container"),
            ("/target/averageUtilization", "targetAverageUtilization"),
            ("/target/averageValue", "targetAverageValue"),
        ],
    ),
    (
        "pods",
        &[
            ("/metric/name", "metricName"),
            ("/metric/selector", "selector"),
            ("/target/averageValue", "targetAverageValue"),
        ],
    ),
    (
        "object",
        &[
            ("/describedObject", "target"),
            ("/metric/name", "metricName"),
            ("/metric/selector", "selector"),
            ("/target/value", "targetValue"),
            ("/target/averageValue", "averageValue"),
        ],
    ),
    (
        "external",
        &[
            ("/metric/name", "metricName"),
            ("/metric/selector", "metricSelector"),
            ("/target/value", "targetValue"),
            ("/target/averageValue", "targetAverageValue"),
        ],
    ),
];

/// What was found of a metric.
const FOUND: [(&str, Fields); 5] = [
    (
        "resource",
        &[
            ("/name", "name"),
            ("/current/averageUtilization", "currentAverageUtilization"),
            ("/current/averageValue", "currentAverageValue"),
        ],
    ),
    (
        "containerResource",
        &[
            ("/name", "name"),
            ("/container", "container"),
            ("/current/averageUtilization", "currentAverageUtilization"),
            ("/current/averageValue", "currentAverageValue"),
        ],
    ),
    (
        "pods",
        &[
            ("/metric/name", "metricName"),
            ("/metric/selector", "selector"),
            ("/current/averageValue", "currentAverageValue"),
        ],
    ),
    (
        "object",
        &[
            ("/describedObject", "target"),
            ("/metric/name", "metricName"),
            ("/metric/selector", "selector"),
            ("/current/value", "currentValue"),
            ("/current/averageValue", "averageValue"),
        ],
    ),
    (
        "external",
        &[
            ("/metric/name", "metricName"),
            ("/metric/selector", "metricSelector"),
            ("/current/value", "currentValue"),
            ("/current/averageValue", "currentAverageValue"),
        ],
    ),
];

/// The percentage of a metric about the CPU's utilization; `amounts` is `target` or `current`.
pub(super) fn utilization_of_cpu<'a>(metric: &'a Value, amounts: &str) -> Option<&'a Value> {
    let is_cpu = metric["type"] == "Resource" && metric["resource"]["name"] == "cpu";
    metric["resource"][amounts].get("averageUtilization").filter(|_| is_cpu)
}

/// A metric about the CPU's utilization.
pub(super) fn cpu(percent: &Value, amounts: &str) -> Value {
    let mut resource = json!({ "name": "cpu" });
    resource[amounts] = json!({ "averageUtilization": percent });
    if amounts == "target" {
        resource[amounts]["type"] = "Utilization".into();
    }
    json!({ "type": "Resource", "resource": resource })
}

/// What a metric asks for, in the words of `autoscaling/v1`.
pub(super) fn show_wanted(metric: Value) -> Value {
    show(metric, &WANTED)
}

/// What was found of a metric, in the words of `autoscaling/v1`.
pub(super) fn show_found(metric: Value) -> Value {
    show(metric, &FOUND)
}

/// What a metric asks for, in the words of `autoscaling/v2`.
pub(super) fn keep_wanted(metric: Value) -> Value {
    let mut metric = keep(metric, &WANTED);
    for (name, _) in &WANTED {
        if let Some(source) = metric.get_mut(*name) {
            name_target(name, source);
        }
    }
    metric
}

/// What was found of a metric, in the words of `autoscaling/v2`.
pub(super) fn keep_found(metric: Value) -> Value {
    keep(metric, &FOUND)
}

fn show(mut metric: Value, sources: &[(&str, Fields)]) -> Value {
    for (name, fields) in sources {
        if let Some(source) = metric.get_mut(*name) {
            let shown =
                fields.iter().filter_map(|(at, field)| Some(((*field).to_owned(), source.pointer(at)?.clone())));
            *source = Value::Object(shown.collect());
        }
    }
    metric
}

fn keep(mut metric: Value, sources: &[(&str, Fields)]) -> Value {
    for (name, fields) in sources {
        if let Some(source) = metric.get_mut(*name).filter(|source| source.is_object()) {
            let mut kept = Value::Object(Map::new());
            for (at, field) in *fields {
                if let Some(value) = source.get(*field) {
                    put(&mut kept, at, value.clone());
                }
            }
            *source = kept;
        }
    }
    metric
}

/// Says which of its amounts counts. Go writes an amount of an object's metric as 0 when there is
/// none.
fn name_target(name: &str, source: &mut Value) {
    let Some(target) = source.get_mut("target").and_then(Value::as_object_mut) else { return };
    let has = |field: &str| target.contains_key(field);
    let kind = match (has("averageUtilization"), has("value"), has("averageValue")) {
        (true, ..) => "Utilization",
        (_, true, false) => "Value",
        (_, true, true) if name == "external" => "Value",
        _ => "AverageValue",
    };
    if kind == "AverageValue" && target.get("value").is_some_and(|value| value == "0") {
        target.remove("value");
    }
    target.insert("type".to_owned(), kind.into());
}

/// Sets a field at a pointer, with the objects on the way to it.
fn put(object: &mut Value, pointer: &str, value: Value) {
    let place = pointer.split('/').skip(1).fold(object, |place, step| &mut place[step]);
    *place = value;
}
