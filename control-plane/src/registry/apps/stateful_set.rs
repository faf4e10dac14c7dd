//! StatefulSets (upstream `apps/v1/defaults.go`, `ValidateStatefulSet`).

use nodeplane_api::{names, selector::LabelSelector, status::FieldErrors};
use serde_json::{Value, json};

use crate::registry::{
    NameRule, Strategy,
    fields::{At, child, each, fill, object_mut, remove},
    keep,
    pod_template::{self, check_template_metadata, fill_template},
    shares,
    workload::{
        check_collisions_kept, check_counts, check_goes_on, check_match, check_parts, check_selector, show_selector,
        template_labels,
    },
};

/// What may be changed.
const MUTABLE: [&str; 7] = [
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
];
const NOT_MUTABLE: &str = "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', \
                           'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and \
                           'minReadySeconds' are forbidden";
const RETENTION: [&str; 2] = ["Retain", "Delete"];

/// The strategy of StatefulSets.
pub(super) struct StatefulSetStrategy;

impl Strategy for StatefulSetStrategy {
    fn default(&self, set: &mut Value) {
        let Some(spec) = object_mut(set, "spec") else { return };
        fill(spec, "replicas", 1);
        fill(spec, "revisionHistoryLimit", 10);
        fill(spec, "podManagementPolicy", "OrderedReady");
        if let Some(strategy) = child(spec, "updateStrategy") {
            fill_strategy(strategy);
        }
        if let Some(retention) = child(spec, "persistentVolumeClaimRetentionPolicy") {
            fill(retention, "whenDeleted", "Retain");
            fill(retention, "whenScaled", "Retain");
        }
        each(spec, "volumeClaimTemplates").for_each(fill_claim);
        fill_template(spec);
    }

    fn prepare_for_create(&self, set: &mut Value) {
        set["status"] = json!({ "replicas": 0, "availableReplicas": 0 });
        drop_unavailable(set);
    }

    fn prepare_for_update(&self, set: &mut Value, old: &Value) {
        keep(set, old, "status");
        if old["spec"]["updateStrategy"]["rollingUpdate"]["maxUnavailable"].is_null() {
            drop_unavailable(set);
        }
    }

    fn warnings(&self, set: &Value) -> Vec<String> {
        let spec = At::root(set).field("spec");
        let mut warnings = pod_template::warnings(&spec.field("template").field("spec"));
        if spec.field("revisionHistoryLimit").integer().is_some_and(|limit| limit < 0) {
            let words = "a negative value retains all historical revisions; a value >= 0 is recommended";
            warnings.push(format!("spec.revisionHistoryLimit: {words}"));
        }
        warnings
    }

    fn counts_generations(&self) -> bool {
        true
    }

    fn name_rule(&self) -> NameRule {
        NameRule::Label
    }

    fn validate(&self, set: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        let spec = At::root(set).field("spec");
        check_policy(&spec.field("podManagementPolicy"), &mut errors);
        check_strategy(&spec.field("updateStrategy"), &mut errors);
        let retention = spec.field("persistentVolumeClaimRetentionPolicy");
        for name in ["whenDeleted", "whenScaled"] {
            let field = retention.field(name);
            if !RETENTION.contains(&field.text()) {
                errors.not_supported(field.path.clone(), field.text(), &RETENTION);
            }
        }
        check_counts(&spec, &["replicas", "minReadySeconds"], &mut errors);
        check_counts(&spec.field("ordinals"), &["start"], &mut errors);
        check_selector_and_labels(&spec, &mut errors);
        check_goes_on(&spec.field("template").field("spec"), "StatefulSet", &mut errors);
        errors
    }

    fn validate_create(&self, set: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        let service = At::root(set).field("spec").field("serviceName");
        if !service.text().is_empty() {
            for words in names::label_1123(service.text()) {
                errors.invalid(service.path.clone(), service.text(), words);
            }
        }
        errors
    }

    fn validate_update(&self, set: &Value, old: &Value) -> FieldErrors {
        let rest = |set: &Value| {
            let mut spec = set["spec"].clone();
            MUTABLE.iter().for_each(|field| remove(&mut spec, field));
            spec
        };
        let mut errors = FieldErrors::default();
        if rest(set) != rest(old) {
            errors.forbidden("spec", NOT_MUTABLE);
        }
        errors
    }

    fn validate_status_update(&self, set: &Value, old: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        let status = At::root(set).field("status");
        let parts = ["readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas"];
        check_counts(&status, &["replicas"], &mut errors);
        check_counts(&status, &parts, &mut errors);
        check_counts(&status, &["observedGeneration", "collisionCount"], &mut errors);
        check_parts(&status, &parts, "status.readyReplicas", &mut errors);
        check_collisions_kept(set, old, &mut errors);
        errors
    }
}

fn fill_strategy(strategy: &mut Value) {
    if strategy["type"].as_str().is_none_or(str::is_empty) {
        strategy["type"] = "RollingUpdate".into();
        child(strategy, "rollingUpdate");
    }
    if strategy["type"] == "RollingUpdate"
        && let Some(rolling) = object_mut(strategy, "rollingUpdate")
    {
        fill(rolling, "partition", 0);
    }
}

/// Claims in a template say what they are, and that they wait.
fn fill_claim(claim: &mut Value) {
    claim["apiVersion"] = "v1".into();
    claim["kind"] = "PersistentVolumeClaim".into();
    if let Some(spec) = child(claim, "spec") {
        fill(spec, "volumeMode", "Filesystem");
    }
    if let Some(status) = child(claim, "status") {
        fill(status, "phase", "Pending");
    }
}

/// `maxUnavailable` of a StatefulSet is behind a gate that is closed in this release.
fn drop_unavailable(set: &mut Value) {
    if let Some(rolling) = set.pointer_mut("/spec/updateStrategy/rollingUpdate") {
        remove(rolling, "maxUnavailable");
    }
}

fn check_policy(policy: &At<'_>, errors: &mut FieldErrors) {
    match policy.text() {
        "" => errors.required(policy.path.clone(), ""),
        "OrderedReady" | "Parallel" => {}
        other => errors.invalid(policy.path.clone(), other, "must be 'OrderedReady' or 'Parallel'"),
    }
}

fn check_strategy(strategy: &At<'_>, errors: &mut FieldErrors) {
    let rolling = strategy.field("rollingUpdate");
    match strategy.field("type").text() {
        "" => errors.required(strategy.path.clone(), ""),
        "OnDelete" if rolling.is_set() => {
            let words = "only allowed for updateStrategy 'RollingUpdate'";
            errors.invalid_shown(rolling.path.clone(), show_rolling(&rolling), words);
        }
        "OnDelete" => {}
        "RollingUpdate" => check_rolling(&rolling, errors),
        other => {
            let shown = format!(
                "apps.StatefulSetUpdateStrategy{{Type:{other:?}, \
                 RollingUpdate:(*apps.RollingUpdateStatefulSetStrategy)(nil)}}"
            );
            errors.invalid_shown(strategy.path.clone(), shown, "must be 'RollingUpdate' or 'OnDelete'");
        }
    }
}

fn check_rolling(rolling: &At<'_>, errors: &mut FieldErrors) {
    check_counts(rolling, &["partition"], errors);
    let unavailable = rolling.field("maxUnavailable");
    if unavailable.is_set() {
        shares::check_share(&unavailable, errors);
        if shares::is_zero(unavailable.value) {
            errors.invalid_shown(unavailable.path.clone(), shares::show_share(unavailable.value), "cannot be 0");
        }
        shares::check_at_most_all(&unavailable, errors);
    }
}

fn show_rolling(rolling: &At<'_>) -> String {
    let partition = rolling.field("partition").integer().unwrap_or(0);
    format!("apps.RollingUpdateStatefulSetStrategy{{Partition:{partition}, MaxUnavailable:(*intstr.IntOrString)(nil)}}")
}

/// In this release, pods of a template are looked at when they are made.
fn check_selector_and_labels(spec: &At<'_>, errors: &mut FieldErrors) {
    let (selector, template) = (spec.field("selector"), spec.field("template"));
    check_selector(&selector, "statefulset", errors);
    match LabelSelector::from_value(selector.value) {
        Ok(parsed) => {
            check_match(parsed.matches(template_labels(&template).value), &template, errors);
            check_template_metadata(&template, errors);
        }
        Err(_) => errors.invalid_shown(selector.path, show_selector(selector.value), ""),
    }
}

#[cfg(test)]
mod tests;
