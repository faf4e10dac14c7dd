//! What an autoscaler looks at.

use nodeplane_api::{names, quantity::Quantity, status::FieldErrors};

use super::check_reference;
use crate::registry::{fields::At, pod_template::check_container_resource_name};

/// Types of metrics, as messages list them, and the fields that describe them.
const TYPES: [(&str, &str); 5] = [
    ("ContainerResource", "containerResource"),
    ("External", "external"),
    ("Object", "object"),
    ("Pods", "pods"),
    ("Resource", "resource"),
];
/// Fields in the order in which upstream looks at them.
const SOURCES: [&str; 5] = ["object", "external", "pods", "resource", "containerResource"];

/// Adds what is wrong with a metric. Of several sources only the first is looked at.
pub(super) fn check(metric: &At<'_>, errors: &mut FieldErrors) {
    let kind = metric.field("type");
    let wanted = TYPES.iter().find(|(name, _)| *name == kind.text()).map(|(_, source)| *source);
    if kind.text().is_empty() {
        errors.required(kind.path.clone(), "must specify a metric source type");
    }
    if wanted.is_none() {
        errors.not_supported(kind.path.clone(), kind.text(), &TYPES.map(|(name, _)| name));
    }
    let present: Vec<&str> = SOURCES.into_iter().filter(|name| metric.field(name).is_set()).collect();
    if let Some(first) = present.first() {
        check_source(first, &metric.field(first), errors);
    }
    if let Some(name) = wanted.filter(|name| !present.contains(name)) {
        errors.required(metric.field(name).path, "must populate information for the given metric source");
    }
    if present.len() != 1 {
        for other in present.into_iter().filter(|name| Some(*name) != wanted) {
            errors.forbidden(metric.field(other).path, "must populate the given metric source only");
        }
    }
}

fn check_source(name: &str, source: &At<'_>, errors: &mut FieldErrors) {
    match name {
        "resource" | "containerResource" => return check_resource(name, source, errors),
        "object" => check_reference(&source.field("describedObject"), errors),
        _ => {}
    }
    check_metric(&source.field("metric"), errors);
    let target = source.field("target");
    check_target(&target, errors);
    let (value, average) = (target.field("value"), target.field("averageValue"));
    let words = match name {
        "pods" if !average.is_set() => "must specify a positive target averageValue",
        "object" if !value.is_set() && !average.is_set() => "must set either a target value or averageValue",
        "external" if !value.is_set() && !average.is_set() => {
            "must set either a target value for metric or a per-pod target"
        }
        "external" if value.is_set() && average.is_set() => {
            errors.forbidden(value.path, "may not set both a target value for metric and a per-pod target");
            return;
        }
        _ => return,
    };
    errors.required(average.path, words);
}

fn check_resource(name: &str, source: &At<'_>, errors: &mut FieldErrors) {
    let resource = source.field("name");
    if resource.text().is_empty() {
        errors.required(resource.path.clone(), "must specify a resource name");
    } else if name == "containerResource" {
        check_container_resource_name(&resource, errors);
    }
    if name == "containerResource" {
        let container = source.field("container");
        if container.text().is_empty() {
            errors.required(container.path.clone(), "must specify a container");
        } else {
            for words in names::label_1123(container.text()) {
                errors.invalid(container.path.clone(), container.text(), words);
            }
        }
    }
    let target = source.field("target");
    check_target(&target, errors);
    let (percent, average) = (target.field("averageUtilization"), target.field("averageValue"));
    if !percent.is_set() && !average.is_set() {
        errors.required(percent.path.clone(), "must set either a target raw value or a target utilization");
    }
    if percent.is_set() && average.is_set() {
        errors.forbidden(average.path, "may not set both a target raw value and a target utilization");
    }
}

fn check_metric(metric: &At<'_>, errors: &mut FieldErrors) {
    let name = metric.field("name");
    if name.text().is_empty() {
        errors.required(name.path.clone(), "must specify a metric name");
    }
    for words in names::path_segment(name.text()) {
        errors.invalid(name.path.clone(), name.text(), words);
    }
}

fn check_target(target: &At<'_>, errors: &mut FieldErrors) {
    let kind = target.field("type");
    if kind.text().is_empty() {
        errors.required(kind.path.clone(), "must specify a metric target type");
    }
    if !matches!(kind.text(), "Utilization" | "Value" | "AverageValue") {
        errors.invalid(kind.path.clone(), kind.text(), "must be either Utilization, Value, or AverageValue");
    }
    for name in ["value", "averageValue"] {
        let amount = target.field(name);
        if amount.text().parse::<Quantity>().is_ok_and(|amount| amount <= Quantity::ZERO) {
            errors.invalid(amount.path.clone(), amount.text(), "must be positive");
        }
    }
    let percent = target.field("averageUtilization");
    if let Some(number) = percent.integer().filter(|number| *number < 1) {
        errors.invalid(percent.path, number, "must be greater than 0");
    }
}
