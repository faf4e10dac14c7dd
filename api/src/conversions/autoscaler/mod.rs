//! HorizontalPodAutoscalers: stored as `autoscaling/v2`, shown in `autoscaling/v1` too, which has a
//! field for the CPU's utilization alone. Whatever else there is stands there in annotations, as
//! JSON, in the words that upstream has for it, and is taken back from them.

mod metrics;

use serde_json::{Value, json};

use crate::{kinds::Conversion, schema};

/// `autoscaling/v1` as a view of `autoscaling/v2`.
pub(crate) const AUTOSCALER_V1: Conversion =
    Conversion { stored: ("autoscaling", "v2", "horizontalpodautoscalers"), number: 1, show, keep };

const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";
const BEHAVIOR: &str = "autoscaling.alpha.kubernetes.io/behavior";
const CURRENT_METRICS: &str = "autoscaling.alpha.kubernetes.io/current-metrics";
const CONDITIONS: &str = "autoscaling.alpha.kubernetes.io/conditions";

const TARGET: &str = "targetCPUUtilizationPercentage";
const CURRENT: &str = "currentCPUUtilizationPercentage";

fn show(mut autoscaler: Value) -> Value {
    ANNOTATIONS.iter().for_each(|name| drop(take_annotation(&mut autoscaler, name)));
    let mut wanted = take_list(&mut autoscaler, "spec", "metrics");
    if let Some(at) = wanted.iter().position(|metric| metrics::utilization_of_cpu(metric, "target").is_some()) {
        let cpu = wanted.remove(at);
        autoscaler["spec"][TARGET] = cpu["resource"]["target"]["averageUtilization"].clone();
    }
    annotate_list(&mut autoscaler, METRICS, wanted.into_iter().map(metrics::show_wanted));
    if let Some(behavior) = take(&mut autoscaler, "spec", "behavior") {
        annotate(&mut autoscaler, BEHAVIOR, &renamed(behavior, char::to_ascii_uppercase));
    }
    let found = take_list(&mut autoscaler, "status", "currentMetrics");
    if let Some(cpu) = found.iter().rev().find_map(|metric| metrics::utilization_of_cpu(metric, "current")) {
        autoscaler["status"][CURRENT] = cpu.clone();
    }
    // The one that has a field has an amount beside it, which has none.
    annotate_list(&mut autoscaler, CURRENT_METRICS, found.into_iter().map(metrics::show_found));
    let conditions = take_list(&mut autoscaler, "status", "conditions");
    annotate_list(&mut autoscaler, CONDITIONS, conditions.into_iter());
    autoscaler
}

const ANNOTATIONS: [&str; 4] = [METRICS, BEHAVIOR, CURRENT_METRICS, CONDITIONS];

fn keep(mut autoscaler: Value) -> Value {
    let [wanted, behavior, found, conditions] = ANNOTATIONS.map(|name| take_annotation(&mut autoscaler, name));
    let wanted = wanted.and_then(|list| items(list, metrics::keep_wanted, "MetricSpec"));
    let cpu = take(&mut autoscaler, "spec", TARGET).map(|percent| metrics::cpu(&percent, "target"));
    set_list(&mut autoscaler, "spec", "metrics", wanted.into_iter().flatten().chain(cpu));
    let behavior = behavior.map(|behavior| renamed(behavior, char::to_ascii_lowercase));
    let behavior = behavior.and_then(|behavior| typed(behavior, "HorizontalPodAutoscalerBehavior"));
    if let Some(behavior) = behavior.filter(|behavior| *behavior != json!({})) {
        autoscaler["spec"]["behavior"] = behavior;
    }
    let cpu = take(&mut autoscaler, "status", CURRENT).map(|percent| vec![metrics::cpu(&percent, "current")]);
    let found = found.and_then(|list| items(list, metrics::keep_found, "MetricStatus"));
    set_list(&mut autoscaler, "status", "currentMetrics", found.or(cpu).into_iter().flatten());
    let conditions = conditions.and_then(|list| items(list, |one| one, "HorizontalPodAutoscalerCondition"));
    set_list(&mut autoscaler, "status", "conditions", conditions.into_iter().flatten());
    autoscaler
}

/// The items of a list from an annotation in the stored form; nothing when one of them has not
/// the shape of this type.
fn items(list: Value, keep: fn(Value) -> Value, name: &str) -> Option<Vec<Value>> {
    let Value::Array(items) = list else { return None };
    items.into_iter().map(|item| typed(keep(item), name)).collect()
}

fn typed(value: Value, name: &str) -> Option<Value> {
    schema::decode(&format!("io.k8s.api.autoscaling.v2.{name}"), value).ok().map(|decoded| decoded.object)
}

/// Go writes a struct without tags under the names of its fields, which begin in capitals.
fn renamed(value: Value, first: fn(&char) -> char) -> Value {
    match value {
        Value::Object(fields) => {
            let renamed = |name: String| {
                let mut letters = name.chars();
                letters.next().map(|letter| first(&letter)).into_iter().chain(letters).collect::<String>()
            };
            fields.into_iter().map(|(name, value)| (renamed(name), self::renamed(value, first))).collect()
        }
        Value::Array(items) => items.into_iter().map(|item| renamed(item, first)).collect(),
        scalar => scalar,
    }
}

fn take(object: &mut Value, part: &str, field: &str) -> Option<Value> {
    object.get_mut(part)?.as_object_mut()?.remove(field)
}

fn take_list(object: &mut Value, part: &str, field: &str) -> Vec<Value> {
    match take(object, part, field) {
        Some(Value::Array(items)) => items,
        _ => Vec::new(),
    }
}

/// Sets a list unless it is empty.
fn set_list(object: &mut Value, part: &str, field: &str, items: impl Iterator<Item = Value>) {
    let items: Vec<Value> = items.collect();
    if !items.is_empty() {
        object[part][field] = items.into();
    }
}

fn annotate_list(object: &mut Value, name: &str, items: impl Iterator<Item = Value>) {
    let items: Vec<Value> = items.collect();
    if !items.is_empty() {
        annotate(object, name, &items.into());
    }
}

fn annotate(object: &mut Value, name: &str, value: &Value) {
    object["metadata"]["annotations"][name] = value.to_string().into();
}

/// Takes an annotation out. Malformed JSON is worth nothing.
fn take_annotation(object: &mut Value, name: &str) -> Option<Value> {
    let metadata = object.get_mut("metadata")?.as_object_mut()?;
    let annotations = metadata.get_mut("annotations")?.as_object_mut()?;
    let taken = annotations.remove(name);
    if annotations.is_empty() {
        metadata.remove("annotations");
    }
    serde_json::from_str(taken?.as_str()?).ok()
}
