//! Columns of what says which versions of which groups are served.

use serde_json::Value;

use super::{
    AGE, Column, NAME,
    cells::{items, str_at},
};

pub(crate) const API_SERVICE: &[Column] = &[
    NAME,
    Column::text("Service", "The Service that serves it.", |service, _| {
        match service.pointer("/spec/service").is_some_and(Value::is_object) {
            true => format!("{}/{}", str_at(service, "/spec/service/namespace"), str_at(service, "/spec/service/name"))
                .into(),
            false => "Local".into(),
        }
    }),
    Column::text("Available", "Whether it can be reached.", |service, _| available(service).into()),
    AGE,
];

fn available(service: &Value) -> String {
    let Some(condition) = items(service, "/status/conditions").find(|condition| condition["type"] == "Available")
    else {
        return "Unknown".to_owned();
    };
    match (str_at(condition, "/status"), str_at(condition, "/reason")) {
        ("True", _) => "True".to_owned(),
        (status, "") => status.to_owned(),
        (status, reason) => format!("{status} ({reason})"),
    }
}
