//! Columns of what runs to its end: Jobs, and CronJobs that make them.

use jiff::Timestamp;
use serde_json::Value;

use super::{
    AGE, Column, NAME,
    age::{human, moment, since},
    cells::{self, NONE, int_at, items, joined, len, str_at},
    workload::{CONTAINERS, IMAGES, SELECTOR},
};
use crate::selector::format_label_selector;

pub(crate) const JOB: &[Column] = &[
    NAME,
    Column::text("Status", "How far the job is.", |job, _| status(job).into()),
    Column::text("Completions", "Pods that succeeded, of those that must.", |job, _| completions(job).into()),
    Column::text("Duration", "Time that the job took, or has taken until now.", |job, now| duration(job, now).into()),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

pub(crate) const CRON_JOB: &[Column] = &[
    NAME,
    Column::text("Schedule", "When jobs start, as cron writes it.", |cron, _| cells::text(cron, "/spec/schedule")),
    Column::text("Timezone", "Where the schedule's hours are read.", |cron, _| {
        cells::text_or(cron, "/spec/timeZone", NONE)
    }),
    Column::boolean("Suspend", "Whether no more jobs start.", |cron, _| {
        match cron.pointer("/spec/suspend").and_then(Value::as_bool) {
            Some(true) => "True",
            Some(false) => "False",
            None => "<unset>",
        }
        .into()
    }),
    Column::number("Active", "Jobs that run.", |cron, _| len(cron, "/status/active").into()),
    Column::text("Last Schedule", "Time since a job was started last.", |cron, now| {
        match moment(cron, "/status/lastScheduleTime") {
            Some(_) => since(cron, "/status/lastScheduleTime", now).into(),
            None => NONE.into(),
        }
    }),
    AGE,
    Column::text("Containers", "Names of the containers in the template.", |cron, _| {
        joined(cron, "/spec/jobTemplate/spec/template/spec/containers", "name").into()
    })
    .wide(),
    Column::text("Images", "Images of the containers in the template.", |cron, _| {
        joined(cron, "/spec/jobTemplate/spec/template/spec/containers", "image").into()
    })
    .wide(),
    Column::text("Selector", "Which pods belong to its jobs.", |cron, _| {
        format_label_selector(&cron["spec"]["jobTemplate"]["spec"]["selector"]).into()
    })
    .wide(),
];

fn status(job: &Value) -> &'static str {
    // The first condition of a type counts.
    let has = |name: &str| {
        let found = items(job, "/status/conditions").find(|condition| condition["type"] == name);
        found.is_some_and(|condition| condition["status"] == "True")
    };
    match () {
        () if has("Complete") => "Complete",
        () if has("Failed") => "Failed",
        () if !str_at(job, "/metadata/deletionTimestamp").is_empty() => "Terminating",
        () if has("Suspended") => "Suspended",
        () if has("FailureTarget") => "FailureTarget",
        () => "Running",
    }
}

fn completions(job: &Value) -> String {
    let succeeded = int_at(job, "/status/succeeded");
    let wanted = job.pointer("/spec/completions").and_then(Value::as_i64);
    match (wanted, int_at(job, "/spec/parallelism")) {
        (Some(wanted), _) => format!("{succeeded}/{wanted}"),
        (None, at_once) if at_once > 1 => format!("{succeeded}/1 of {at_once}"),
        (None, _) => format!("{succeeded}/1"),
    }
}

fn duration(job: &Value, now: Timestamp) -> String {
    let Some(start) = moment(job, "/status/startTime") else { return String::new() };
    human(moment(job, "/status/completionTime").unwrap_or(now).duration_since(start))
}

#[cfg(test)]
mod tests;
