//! What a job's status may become (upstream `ValidateJobStatusUpdate`).
//!
//! Rules about a field hold when the field changes: a status that broke one before does not keep
//! its keeper from telling something else.

use std::collections::BTreeSet;

use jiff::Timestamp;
use nodeplane_api::status::FieldErrors;
use serde_json::Value;

use super::indexes;
use crate::registry::{fields::At, workload::check_counts};

const CONDITIONS: &str = "status.conditions";

/// A job's status and spec, and what changes with it.
struct Change<'a> {
    spec: At<'a>,
    now: At<'a>,
    before: At<'a>,
}

/// Everything wrong with a change of a job's status.
pub(super) fn validate(job: &Value, old: &Value) -> FieldErrors {
    let mut errors = FieldErrors::default();
    let root = At::root(job);
    let change = Change { spec: root.field("spec"), now: root.field("status"), before: At::root(old).field("status") };
    check_counts(&change.now, &["active", "succeeded", "failed", "ready", "terminating"], &mut errors);
    check_uncounted(&change.now.field("uncountedTerminatedPods"), &mut errors);
    change.check_ends(&mut errors);
    change.check_times(&mut errors);
    change.check_leftovers(&mut errors);
    change.check_indexes(&mut errors);
    change.check_criteria(&mut errors);
    change.check_goes_forward(&mut errors);
    errors
}

impl Change<'_> {
    fn has_changed(&self, fields: &[&str]) -> bool {
        fields.iter().any(|field| self.now.field(field).value != self.before.field(field).value)
    }

    /// Whether one of these conditions is new or gone.
    fn has_turned(&self, conditions: &[&str]) -> bool {
        conditions.iter().any(|kind| is_true(&self.now, kind) != is_true(&self.before, kind))
    }

    fn has_finished(&self) -> bool {
        is_finished(&self.now) != is_finished(&self.before)
    }

    /// A job ends once, and in one way.
    fn check_ends(&self, errors: &mut FieldErrors) {
        let now = |kind: &str| is_true(&self.now, kind);
        if self.has_turned(&["Complete", "Failed"]) && now("Complete") && now("Failed") {
            errors.invalid_whole(CONDITIONS, "cannot set Complete=True and Failed=true conditions");
        }
        if self.has_turned(&["Complete", "FailureTarget"]) && now("Complete") && now("FailureTarget") {
            errors.invalid_whole(CONDITIONS, "cannot set Complete=True and FailureTarget=true conditions");
        }
    }

    fn check_times(&self, errors: &mut FieldErrors) {
        let (start, end) = (self.now.field("startTime"), self.now.field("completionTime"));
        let is_complete = is_true(&self.now, "Complete");
        if self.has_turned(&["Complete"]) || self.has_changed(&["completionTime"]) {
            if end.is_set() && !is_complete {
                let words = "cannot set completionTime when there is no Complete=True condition";
                errors.invalid_shown(end.path.clone(), show_time(&end), words);
            }
            if !end.is_set() && is_complete {
                errors.required(end.path.clone(), "completionTime is required for Complete jobs");
            }
        }
        let is_before = moment(&end).is_some_and(|end| moment(&start).is_some_and(|start| end < start));
        if self.has_changed(&["startTime", "completionTime"]) && is_before {
            let words = "completionTime cannot be set before startTime";
            errors.invalid_shown(end.path.clone(), show_time(&end), words);
        }
        if (self.has_finished() || self.has_changed(&["startTime"])) && is_finished(&self.now) && !start.is_set() {
            errors.required(start.path, "startTime is required for finished job");
        }
    }

    /// A job that has ended has nothing left to do.
    fn check_leftovers(&self, errors: &mut FieldErrors) {
        if !is_finished(&self.now) {
            return;
        }
        let (active, pods) = (self.now.field("active"), self.now.field("uncountedTerminatedPods"));
        let count = active.integer().unwrap_or(0);
        if (self.has_finished() || self.has_changed(&["active"])) && count > 0 {
            errors.invalid(active.path, count, "active>0 is invalid for finished job");
        }
        let is_counted = pods.field("succeeded").len() + pods.field("failed").len() == 0;
        if (self.has_finished() || self.has_changed(&["uncountedTerminatedPods"])) && !is_counted {
            let words = "uncountedTerminatedPods needs to be empty for finished job";
            errors.invalid_shown(pods.path.clone(), show_uncounted(&pods), words);
        }
    }

    fn check_indexes(&self, errors: &mut FieldErrors) {
        let (completed, failed) = (self.now.field("completedIndexes"), self.now.field("failedIndexes"));
        let completions = self.spec.field("completions").integer();
        let has_limit = self.spec.field("backoffLimitPerIndex").is_set();
        if self.has_changed(&["completedIndexes"]) {
            check_format(&completed, completions, errors);
        }
        if self.has_changed(&["failedIndexes"]) && has_limit && failed.is_set() {
            check_format(&failed, completions, errors);
        }
        let is_indexed = self.spec.field("completionMode").text() == "Indexed";
        if self.has_changed(&["completedIndexes"]) && !completed.text().is_empty() && !is_indexed {
            let words = "cannot set non-empty completedIndexes when non-indexed completion mode";
            errors.invalid(completed.path.clone(), completed.text(), words);
        }
        if self.has_changed(&["failedIndexes"]) && failed.is_set() && !has_limit {
            let words = "cannot set non-null failedIndexes when backoffLimitPerIndex is null";
            errors.invalid(failed.path.clone(), failed.text(), words);
        }
        let both = completions.and_then(|count| indexes::overlap(completed.text(), failed.text(), count));
        if let (true, Some(index)) = (self.has_changed(&["completedIndexes", "failedIndexes"]), both) {
            let words = format!("failedIndexes and completedIndexes overlap at index: {index}");
            errors.invalid(failed.path.clone(), failed.text(), words);
        }
    }

    /// What was decided about a job comes before its end, and stays.
    fn check_criteria(&self, errors: &mut FieldErrors) {
        let now = |kind: &str| is_true(&self.now, kind);
        if now("SuccessCriteriaMet") && now("Failed") {
            errors.invalid_whole(CONDITIONS, "cannot set SuccessCriteriaMet=True and Failed=true conditions");
        }
        if now("SuccessCriteriaMet") && now("FailureTarget") {
            errors.invalid_whole(CONDITIONS, "cannot set SuccessCriteriaMet=True and FailureTarget=true conditions");
        }
        let has_policy = self.spec.field("successPolicy").is_set();
        if has_policy && !now("SuccessCriteriaMet") && now("Complete") {
            let words = "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True";
            errors.invalid_whole(CONDITIONS, words);
        }
    }

    fn check_goes_forward(&self, errors: &mut FieldErrors) {
        for kind in ["Failed", "Complete", "FailureTarget"] {
            if is_true(&self.before, kind) && !is_true(&self.now, kind) {
                errors.invalid_whole(CONDITIONS, format!("cannot disable the terminal {kind}=True condition"));
            }
        }
        let is_elastic = self.spec.field("completionMode").text() == "Indexed"
            && self.spec.field("completions").value == self.spec.field("parallelism").value;
        self.check_not_less("failed", errors);
        if !is_elastic {
            self.check_not_less("succeeded", errors);
        }
        let (end, end_before) = (self.now.field("completionTime"), self.before.field("completionTime"));
        if end.is_set() && end_before.is_set() && moment(&end) != moment(&end_before) {
            errors.invalid_shown(end.path.clone(), show_time(&end), "completionTime cannot be mutated");
        }
        let has_begun = self.before.field("startTime").is_set() && !self.spec.field("suspend").is_true();
        if has_begun && self.has_changed(&["startTime"]) {
            errors.required("status.startTime", "startTime cannot be removed for unsuspended job");
        }
        let (met, was_met) = (is_true(&self.now, "SuccessCriteriaMet"), is_true(&self.before, "SuccessCriteriaMet"));
        if was_met && !met {
            errors.invalid_whole(CONDITIONS, "cannot disable the SuccessCriteriaMet=True condition");
        }
        if is_true(&self.before, "Complete") && !was_met && met {
            let words = "cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions";
            errors.invalid_whole(CONDITIONS, words);
        }
    }

    fn check_not_less(&self, counter: &str, errors: &mut FieldErrors) {
        let (now, before) = (self.now.field(counter), self.before.field(counter));
        let count = now.integer().unwrap_or(0);
        if count < before.integer().unwrap_or(0) {
            errors.invalid(now.path, count, format!("cannot decrease the {counter} counter"));
        }
    }
}

fn is_true(status: &At<'_>, kind: &str) -> bool {
    let mut conditions = status.field("conditions").items();
    conditions.any(|condition| condition.field("type").text() == kind && condition.field("status").text() == "True")
}

fn is_finished(status: &At<'_>) -> bool {
    is_true(status, "Complete") || is_true(status, "Failed")
}

fn moment(time: &At<'_>) -> Option<Timestamp> {
    time.text().parse().ok()
}

/// A time as Go prints it.
fn show_time(time: &At<'_>) -> String {
    moment(time).map(|at| at.strftime("%Y-%m-%d %H:%M:%S +0000 UTC").to_string()).unwrap_or_default()
}

fn check_format(indexes: &At<'_>, completions: Option<i64>, errors: &mut FieldErrors) {
    let Some(completions) = completions else { return };
    if let Err(why) = indexes::count(indexes.text(), completions) {
        let name = indexes.path.rsplit('.').next().unwrap_or_default();
        errors.invalid(indexes.path.clone(), indexes.text(), format!("error parsing {name}: {why}"));
    }
}

/// A pod is counted once.
fn check_uncounted(pods: &At<'_>, errors: &mut FieldErrors) {
    let mut seen = BTreeSet::new();
    for list in ["succeeded", "failed"] {
        for uid in pods.field(list).items() {
            if uid.text().is_empty() {
                errors.invalid(uid.path, "", "must not be empty");
            } else if !seen.insert(uid.text()) {
                errors.duplicate(uid.path.clone(), uid.text());
            }
        }
    }
}

fn show_uncounted(pods: &At<'_>) -> String {
    let show = |name: &str| match pods.field(name) {
        list if list.len() == 0 => "[]types.UID(nil)".to_owned(),
        list => {
            let uids: Vec<String> = list.items().map(|uid| format!("{:?}", uid.text())).collect();
            format!("[]types.UID{{{}}}", uids.join(", "))
        }
    };
    format!("batch.UncountedTerminatedPods{{Succeeded:{}, Failed:{}}}", show("succeeded"), show("failed"))
}
