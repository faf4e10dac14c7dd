//! CronJobs (upstream `SetDefaults_CronJob`, `ValidateCronJobCreate`).

use nodeplane_api::{
    cron::{self, Schedule},
    meta,
    status::FieldErrors,
};
use serde_json::Value;

use super::job::{check_job_spec, fill_nested, spec_warnings};
use crate::registry::{
    Strategy,
    fields::{At, fill, object_mut},
    workload::{check_counts, name_warnings, show_selector},
};

const POLICIES: [&str; 3] = ["Allow", "Forbid", "Replace"];
/// A job's name is the CronJob's and eleven characters more.
const NAME_LENGTH: usize = 52;
/// Longest part of a time zone's name.
const PART_LENGTH: usize = 14;

/// The strategy of CronJobs.
pub(super) struct CronJobStrategy;

impl Strategy for CronJobStrategy {
    fn default(&self, cron: &mut Value) {
        let Some(spec) = object_mut(cron, "spec") else { return };
        fill(spec, "concurrencyPolicy", "Allow");
        fill(spec, "suspend", false);
        fill(spec, "successfulJobsHistoryLimit", 3);
        fill(spec, "failedJobsHistoryLimit", 1);
        if let Some(job) = object_mut(spec, "jobTemplate").and_then(|template| object_mut(template, "spec")) {
            fill_nested(job);
        }
    }

    fn create_warnings(&self, cron: &Value) -> Vec<String> {
        name_warnings(cron)
    }

    fn warnings(&self, cron: &Value) -> Vec<String> {
        let spec = At::root(cron).field("spec");
        let mut warnings = spec_warnings(&spec.field("jobTemplate").field("spec"));
        if names_zone(&spec) {
            // Upstream names this path.
            let words = "cannot use TZ or CRON_TZ in spec.spec.schedule, use timeZone instead, see \
                         https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details";
            warnings.push(words.to_owned());
        }
        warnings
    }

    fn counts_generations(&self) -> bool {
        true
    }

    fn validate(&self, cron: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        let spec = At::root(cron).field("spec");
        check_schedule(&spec.field("schedule"), &mut errors);
        check_counts(&spec, &["startingDeadlineSeconds"], &mut errors);
        let policy = spec.field("concurrencyPolicy");
        match policy.text() {
            "" => errors.required(policy.path, ""),
            text if POLICIES.contains(&text) => {}
            text => errors.not_supported(policy.path, text, &POLICIES),
        }
        check_job_template(&spec.field("jobTemplate").field("spec"), &mut errors);
        check_counts(&spec, &["successfulJobsHistoryLimit", "failedJobsHistoryLimit"], &mut errors);
        errors
    }

    fn validate_create(&self, cron: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        let spec = At::root(cron).field("spec");
        check_zone_apart(&spec, false, &mut errors);
        check_zone(&spec.field("timeZone"), &mut errors);
        if meta::name(cron).len() > NAME_LENGTH {
            errors.invalid("metadata.name", meta::name(cron), "must be no more than 52 characters");
        }
        errors
    }

    fn validate_update(&self, cron: &Value, old: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        let (spec, before) = (At::root(cron).field("spec"), At::root(old).field("spec"));
        check_zone_apart(&spec, names_zone(&before), &mut errors);
        let zone = spec.field("timeZone");
        if zone.value != before.field("timeZone").value {
            check_zone(&zone, &mut errors);
        }
        errors
    }
}

fn check_schedule(schedule: &At<'_>, errors: &mut FieldErrors) {
    if schedule.text().is_empty() {
        errors.required(schedule.path.clone(), "");
    } else if let Err(why) = Schedule::parse(schedule.text()) {
        errors.invalid(schedule.path.clone(), schedule.text(), why);
    }
}

/// Whether the schedule says where its hours are read.
fn names_zone(spec: &At<'_>) -> bool {
    spec.field("schedule").text().contains("TZ")
}

/// A time zone has a field of its own; a schedule that has one from of old may keep it.
fn check_zone_apart(spec: &At<'_>, had_zone: bool, errors: &mut FieldErrors) {
    let schedule = spec.field("schedule");
    if !names_zone(spec) {
        return;
    }
    if !had_zone {
        let words = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead";
        errors.invalid(schedule.path.clone(), schedule.text(), words);
    } else if spec.field("timeZone").is_set() {
        let words = "cannot use both timeZone field and TZ or CRON_TZ in schedule";
        errors.invalid(schedule.path.clone(), schedule.text(), words);
    }
}

fn check_zone(zone: &At<'_>, errors: &mut FieldErrors) {
    let name = zone.text();
    let unknown = format!("unknown time zone {name}");
    match () {
        () if !zone.is_set() => {}
        () if name.is_empty() => {
            errors.invalid(zone.path.clone(), name, "timeZone must be nil or non-empty string");
        }
        () if !name.split('/').all(is_part_of_zone) => errors.invalid(zone.path.clone(), name, unknown),
        () => {
            let is_local = name.eq_ignore_ascii_case("Local");
            if is_local {
                let words = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones";
                errors.invalid(zone.path.clone(), name, words);
            }
            if name != "Local" && cron::zone(name).is_none() {
                errors.invalid(zone.path.clone(), name, unknown);
            }
        }
    }
}

fn is_part_of_zone(part: &str) -> bool {
    let is_plain = part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_+".contains(&byte));
    is_plain && (1..=PART_LENGTH).contains(&part.len()) && !matches!(part, "." | "..") && !part.starts_with('-')
}

fn check_job_template(job: &At<'_>, errors: &mut FieldErrors) {
    check_job_spec(job, errors);
    let (selector, manual) = (job.field("selector"), job.field("manualSelector"));
    if selector.is_set() {
        errors.invalid_shown(selector.path, show_selector(selector.value), "`selector` will be auto-generated");
    }
    if manual.is_true() {
        errors.not_supported(manual.path, true, &["nil", "false"]);
    }
}

#[cfg(test)]
mod tests;
