//! Limits for what is in a namespace (upstream `ValidateLimitRange`).

use std::collections::BTreeSet;

use nodeplane_api::{names, quantity::Quantity, status::FieldErrors};
use serde_json::Value;

use super::resource_quota::check_resource_name;
use crate::registry::{
    Strategy,
    fields::{At, child, each, object_mut},
    pod_template::{self, is_countable, refuse_all},
};

const TYPES: [&str; 3] = ["Pod", "Container", "PersistentVolumeClaim"];

/// The strategy of limit ranges.
pub(super) struct LimitRangeStrategy;

impl Strategy for LimitRangeStrategy {
    /// What containers get: the most, unless less is said, and as a request what is given.
    fn default(&self, range: &mut Value) {
        let Some(spec) = object_mut(range, "spec") else { return };
        for limit in each(spec, "limits").filter(|limit| limit["type"] == "Container") {
            inherit(limit, "default", "max");
            inherit(limit, "defaultRequest", "default");
            inherit(limit, "defaultRequest", "min");
        }
    }

    fn validate(&self, range: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        let mut seen = BTreeSet::new();
        for limit in At::root(range).field("spec").field("limits").items() {
            let kind = limit.field("type");
            let wrong = names::qualified(kind.text());
            if !wrong.is_empty() {
                refuse_all(&kind, wrong, &mut errors);
            } else if !kind.text().contains('/') && !TYPES.contains(&kind.text()) {
                let words = "must be a standard limit type or fully qualified";
                errors.invalid(kind.path.clone(), kind.text(), words);
            }
            if !seen.insert(kind.text()) {
                errors.duplicate(kind.path.clone(), kind.text());
            }
            check_names(&limit, &mut errors);
            let keys: BTreeSet<&str> = LISTS.iter().flat_map(|list| keys_of(&limit.field(list))).collect();
            for key in keys {
                check_amounts(&limit, key, &mut errors);
            }
        }
        errors
    }
}

const LISTS: [&str; 5] = ["max", "min", "default", "defaultRequest", "maxLimitRequestRatio"];

fn keys_of<'a>(list: &At<'a>) -> Vec<&'a str> {
    list.entries().map(|(key, _)| key).collect()
}

/// Fills the amounts of one list from another.
fn inherit(limit: &mut Value, into: &str, from: &str) {
    let Some(given) = limit.get(from).and_then(Value::as_object).cloned() else { return };
    let Some(amounts) = child(limit, into) else { return };
    for (name, amount) in given {
        if amounts.get(&name).is_none() {
            amounts[&name] = amount;
        }
    }
}

fn check_names(limit: &At<'_>, errors: &mut FieldErrors) {
    let kind = limit.field("type").text();
    for list in LISTS {
        let amounts = limit.field(list);
        if kind == "Pod" && list.starts_with("default") {
            if amounts.len() > 0 {
                errors.forbidden(amounts.path, "may not be specified when `type` is 'Pod'");
            }
            continue;
        }
        for (name, amount) in amounts.entries() {
            match kind {
                "Pod" | "Container" => pod_template::check_resource_name(name, &amount.path, errors),
                _ => {
                    check_resource_name(name, &amount, errors);
                }
            }
        }
    }
    let has_storage = |list: &str| limit.field(list).field("storage").is_set();
    if kind == "PersistentVolumeClaim" && !has_storage("min") && !has_storage("max") {
        let words = "either minimum or maximum storage value is required, but neither was provided";
        errors.required(format!("{}.limits", limit.path), words);
    }
}

/// Adds an error for each two amounts of one thing that do not fit together.
fn check_amounts(limit: &At<'_>, key: &str, errors: &mut FieldErrors) {
    let amount = |list: &str| limit.field(list).field(key).text().parse::<Quantity>().ok();
    let [max, min, default, request, ratio] = LISTS.map(amount);
    for (list, low, high, words) in [
        ("min", (min, "min"), (max, "max"), false),
        ("defaultRequest", (min, "min"), (request, "default request"), true),
        ("defaultRequest", (request, "default request"), (max, "max"), false),
        ("defaultRequest", (request, "default request"), (default, "default limit"), false),
        ("default", (min, "min"), (default, "default"), false),
        ("default", (default, "default"), (max, "max"), true),
    ] {
        let (Some(less), Some(more)) = (low.0, high.0) else { continue };
        if less > more {
            let said = format!("{} value {less} is greater than {} value {more}", low.1, high.1);
            let shown = if words { more } else { less };
            errors.invalid_shown(format!("{}.{list}[{key}]", limit.path), show_quantity(shown), said);
        }
    }
    let Some(ratio) = ratio else { return };
    let path = format!("{}.maxLimitRequestRatio[{key}]", limit.path);
    if ratio < Quantity::from_units(1) {
        errors.invalid_shown(path.clone(), show_quantity(ratio), format!("ratio {ratio} is less than 1"));
    }
    if let (Some(min), Some(max)) = (min, max) {
        let most = share(max, min);
        if share(ratio, Quantity::from_units(1)) > most {
            let said = format!("ratio {ratio} is greater than max/min = {most:.6}");
            errors.invalid_shown(path, show_quantity(ratio), said);
        }
    }
    if is_countable(key)
        && let (Some(default), Some(request)) = (default, request)
        && default != request
    {
        let said = format!("default value {default} must equal to defaultRequest value {request} in {key}");
        errors.invalid_shown(format!("{}.defaultRequest[{key}]", limit.path), show_quantity(request), said);
    }
}

/// One amount as a multiple of another.
#[expect(clippy::cast_precision_loss, reason = "a ratio is only compared and shown")]
fn share(amount: Quantity, of: Quantity) -> f64 {
    amount.nanos() as f64 / of.nanos() as f64
}

/// An amount as Go prints the struct of it.
fn show_quantity(quantity: Quantity) -> String {
    let text = quantity.to_string();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let scale = match &text[digits.len()..] {
        "n" => -9,
        "u" => -6,
        "m" => -3,
        "k" => 3,
        "M" => 6,
        "G" => 9,
        "T" => 12,
        "P" => 15,
        "E" => 18,
        _ => 0,
    };
    let is_binary = text.ends_with('i');
    let value = if is_binary { quantity.units().to_string() } else { digits.to_owned() };
    let format = if is_binary { "BinarySI" } else { "DecimalSI" };
    format!(
        "resource.Quantity{{i:resource.int64Amount{{value:{value}, scale:{scale}}}, \
         d:resource.infDecAmount{{Dec:(*inf.Dec)(nil)}}, s:\"\", Format:{format:?}}}"
    )
}

#[cfg(test)]
mod tests;
