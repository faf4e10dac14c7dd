//! The group `batch`.

use k8s_openapi::api::batch::v1 as typed;

use super::{Kind, parts::STATUS, rows::Api};
use crate::columns;

const V1: Api = Api("batch", "v1");

pub(super) const ROWS: &[Kind] = &[
    V1.namespaced::<typed::CronJob>("CronJob", "cronjobs", "cronjob")
        .short(&["cj"])
        .in_all()
        .parts(&[STATUS])
        .columns(columns::CRON_JOB),
    V1.namespaced::<typed::Job>("Job", "jobs", "job").in_all().parts(&[STATUS]).columns(columns::JOB).fields(&[(
        "status.successful",
        "/status/succeeded",
        "0",
    )]),
];
