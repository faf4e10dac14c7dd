//! Columns of what says how many pods there should be, by what it measures.

use serde_json::Value;

use super::{
    AGE, Column, NAME,
    cells::{NONE, int_at, items, str_at},
};

/// Metrics that a cell shows.
const SHOWN: usize = 2;
const UNKNOWN: &str = "<unknown>";
/// How Go prints an amount that is not there.
const NIL: &str = "<nil>";

pub(crate) const AUTOSCALER: &[Column] = &[
    NAME,
    Column::text("Reference", "What is scaled.", |autoscaler, _| {
        let target = |field: &str| str_at(autoscaler, &format!("/spec/scaleTargetRef/{field}")).to_owned();
        format!("{}/{}", target("kind"), target("name")).into()
    }),
    Column::text("Targets", "What was measured and what is wanted of each metric.", |autoscaler, _| {
        targets(autoscaler).into()
    }),
    Column::text("MinPods", "The least number of pods.", |autoscaler, _| {
        autoscaler.pointer("/spec/minReplicas").map_or_else(|| "<unset>".to_owned(), Value::to_string).into()
    }),
    Column::text("MaxPods", "The greatest number of pods.", |autoscaler, _| {
        int_at(autoscaler, "/spec/maxReplicas").into()
    }),
    Column::text("Replicas", "Pods that there are.", |autoscaler, _| {
        int_at(autoscaler, "/status/currentReplicas").into()
    }),
    AGE,
];

fn targets(autoscaler: &Value) -> String {
    let found: Vec<&Value> = items(autoscaler, "/status/currentMetrics").collect();
    let metrics: Vec<String> = items(autoscaler, "/spec/metrics")
        .enumerate()
        .map(|(index, metric)| target(metric, found.get(index).copied().unwrap_or(&Value::Null)))
        .collect();
    let shown = metrics[..metrics.len().min(SHOWN)].join(", ");
    match metrics.len() {
        0 => NONE.to_owned(),
        count if count > SHOWN => format!("{shown} + {} more...", count - SHOWN),
        _ => shown,
    }
}

fn target(metric: &Value, found: &Value) -> String {
    let source = match metric["type"].as_str().unwrap_or_default() {
        "External" => "external",
        "Pods" => "pods",
        "Object" => "object",
        "Resource" => "resource",
        "ContainerResource" => "containerResource",
        _ => return "<unknown type>".to_owned(),
    };
    let (wanted, found) = (&metric[source], found.get(source).unwrap_or(&Value::Null));
    match source {
        "resource" | "containerResource" => of_resource(wanted, found),
        "pods" => format!("{}/{}", current(found, "averageValue"), amount(&wanted["target"]["averageValue"])),
        _ => of_amounts(wanted, found),
    }
}

fn of_resource(wanted: &Value, found: &Value) -> String {
    let (name, target) = (wanted["name"].as_str().unwrap_or_default(), &wanted["target"]);
    if !target["averageValue"].is_null() {
        return format!("{name}: {}/{}", current(found, "averageValue"), amount(&target["averageValue"]));
    }
    let percent =
        |value: &Value, none: &str| value.as_i64().map_or_else(|| none.to_owned(), |value| format!("{value}%"));
    let found = percent(&found["current"]["averageUtilization"], UNKNOWN);
    format!("{name}: {found}/{}", percent(&target["averageUtilization"], "<auto>"))
}

fn of_amounts(wanted: &Value, found: &Value) -> String {
    let target = &wanted["target"];
    if target["averageValue"].is_null() {
        return format!("{}/{}", current(found, "value"), amount(&target["value"]));
    }
    let average = found["current"]["averageValue"].as_str().unwrap_or(UNKNOWN);
    format!("{average}/{} (avg)", amount(&target["averageValue"]))
}

fn current(found: &Value, field: &str) -> String {
    if found.is_null() { UNKNOWN.to_owned() } else { amount(&found["current"][field]) }
}

fn amount(value: &Value) -> String {
    value.as_str().unwrap_or(NIL).to_owned()
}
