//! DaemonSets (upstream `apps/v1/defaults.go`, `ValidateDaemonSet`).

use nodeplane_api::{meta, selector::LabelSelector, status::FieldErrors};
use serde_json::{Value, json};

use crate::registry::{
    Strategy,
    fields::{At, child, fill, object_mut},
    keep,
    pod_template::{self, check_template, fill_template},
    shares,
    workload::{
        check_collisions_kept, check_counts, check_goes_on, check_label_selector, check_match, check_not_empty,
        check_selector_kept, template_labels,
    },
};

/// Where it is counted how often the template changed, for clients of old.
const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";
/// The counts that a status always has.
const COUNTS: [&str; 4] = ["currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady"];

/// The strategy of DaemonSets.
pub(super) struct DaemonSetStrategy;

impl Strategy for DaemonSetStrategy {
    fn default(&self, set: &mut Value) {
        let Some(spec) = object_mut(set, "spec") else { return };
        fill(spec, "revisionHistoryLimit", 10);
        if let Some(strategy) = child(spec, "updateStrategy") {
            fill_strategy(strategy);
        }
        fill_template(spec);
    }

    fn prepare_for_create(&self, set: &mut Value) {
        set["status"] = COUNTS.iter().map(|count| ((*count).to_owned(), json!(0))).collect();
        let counted = template_generation(set).max(1);
        set_template_generation(set, counted);
    }

    fn prepare_for_update(&self, set: &mut Value, old: &Value) {
        keep(set, old, "status");
        let is_changed = set["spec"]["template"] != old["spec"]["template"];
        set_template_generation(set, template_generation(old) + i64::from(is_changed));
    }

    fn warnings(&self, set: &Value) -> Vec<String> {
        pod_template::warnings(&At::root(set).field("spec").field("template").field("spec"))
    }

    fn counts_generations(&self) -> bool {
        true
    }

    fn validate(&self, set: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        let spec = At::root(set).field("spec");
        check_selector(&spec, &mut errors);
        let template = spec.field("template");
        check_template(&template, &mut errors);
        check_goes_on(&template.field("spec"), "DaemonSet", &mut errors);
        check_counts(&spec, &["minReadySeconds"], &mut errors);
        check_strategy(&spec.field("updateStrategy"), &mut errors);
        check_counts(&spec, &["revisionHistoryLimit"], &mut errors);
        errors
    }

    fn validate_update(&self, set: &Value, old: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        check_selector_kept(set, old, &mut errors);
        errors
    }

    fn validate_status_update(&self, set: &Value, old: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        let status = At::root(set).field("status");
        check_counts(&status, &COUNTS, &mut errors);
        let further =
            ["observedGeneration", "updatedNumberScheduled", "numberAvailable", "numberUnavailable", "collisionCount"];
        check_counts(&status, &further, &mut errors);
        check_collisions_kept(set, old, &mut errors);
        errors
    }
}

fn template_generation(set: &Value) -> i64 {
    let text = set["metadata"]["annotations"][TEMPLATE_GENERATION].as_str();
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn set_template_generation(set: &mut Value, generation: i64) {
    let mut annotations = set["metadata"]["annotations"].take();
    if !annotations.is_object() {
        annotations = json!({});
    }
    annotations[TEMPLATE_GENERATION] = generation.to_string().into();
    meta::set(set, "annotations", annotations);
}

fn fill_strategy(strategy: &mut Value) {
    fill(strategy, "type", "RollingUpdate");
    if strategy["type"] == "RollingUpdate"
        && let Some(rolling) = child(strategy, "rollingUpdate")
    {
        fill(rolling, "maxUnavailable", 1);
        fill(rolling, "maxSurge", 0);
    }
}

fn check_selector(spec: &At<'_>, errors: &mut FieldErrors) {
    let (selector, template) = (spec.field("selector"), spec.field("template"));
    check_label_selector(&selector, errors);
    if let Ok(parsed) = LabelSelector::from_value(selector.value) {
        check_match(parsed.matches(template_labels(&template).value), &template, errors);
    }
    if selector.is_set() {
        check_not_empty(&selector, "daemonset", errors);
    }
}

fn check_strategy(strategy: &At<'_>, errors: &mut FieldErrors) {
    match strategy.field("type").text() {
        "OnDelete" => {}
        "RollingUpdate" => check_rolling(&strategy.field("rollingUpdate"), errors),
        other => {
            let shown = format!(
                "apps.DaemonSetUpdateStrategy{{Type:{other:?}, RollingUpdate:(*apps.RollingUpdateDaemonSet)(nil)}}"
            );
            errors.not_supported_shown(strategy.path.clone(), shown, &["RollingUpdate", "OnDelete"]);
        }
    }
}

fn check_rolling(rolling: &At<'_>, errors: &mut FieldErrors) {
    let (unavailable, surge) = (rolling.field("maxUnavailable"), rolling.field("maxSurge"));
    shares::check_share(&unavailable, errors);
    shares::check_share(&surge, errors);
    shares::check_at_most_all(&unavailable, errors);
    shares::check_at_most_all(&surge, errors);
    match (shares::is_zero(unavailable.value), shares::is_zero(surge.value)) {
        (false, false) => {
            let words = "may not be set when maxUnavailable is non-zero";
            errors.invalid_shown(surge.path, shares::show_share(surge.value), words);
        }
        (true, true) => errors.required(unavailable.path, "cannot be 0 when maxSurge is 0"),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
