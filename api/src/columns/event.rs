//! Columns of events, in both generations of the API: counted ones, and those with a series.

use jiff::Timestamp;
use serde_json::Value;

use super::{
    Column, age,
    cells::{self, int_at, or, str_at},
};

pub(crate) const EVENT: &[Column] = &[
    Column::text("Last Seen", "Time since it last happened.", |event, now| last_seen(event, now).into()),
    Column::text("Type", "Normal or Warning.", |event, _| cells::text(event, "/type")),
    Column::text("Reason", "Why, in one word.", |event, _| cells::text(event, "/reason")),
    Column::text("Object", "What the event is about.", |event, _| object(event).into()),
    Column::text("Subobject", "Which part of the object.", |event, _| cells::text(event, "/involvedObject/fieldPath"))
        .wide(),
    Column::text("Source", "Who reports it.", |event, _| source(event).into()).wide(),
    Column::text("Message", "What happened, for people.", |event, _| str_at(event, "/message").trim().into()),
    Column::text("First Seen", "Time since it first happened.", |event, now| first_seen(event, now).into()).wide(),
    Column::text("Count", "How often it has happened.", |event, _| count(event).into()).wide(),
    Column::text("Name", "Name of the event itself.", |event, _| cells::text(event, "/metadata/name"))
        .wide()
        .names_object(),
];

fn first_seen(event: &Value, now: Timestamp) -> String {
    let counted = age::moment(event, "/firstTimestamp").is_some();
    age::since(event, if counted { "/firstTimestamp" } else { "/eventTime" }, now)
}

fn last_seen(event: &Value, now: Timestamp) -> String {
    if event["series"].is_object() {
        age::since(event, "/series/lastObservedTime", now)
    } else if age::moment(event, "/lastTimestamp").is_some() {
        age::since(event, "/lastTimestamp", now)
    } else {
        first_seen(event, now)
    }
}

/// An event without count happened once.
fn count(event: &Value) -> i64 {
    if event["series"].is_object() {
        return int_at(event, "/series/count");
    }
    match int_at(event, "/count") {
        0 => 1,
        count => count,
    }
}

fn object(event: &Value) -> String {
    let kind = str_at(event, "/involvedObject/kind").to_lowercase();
    match str_at(event, "/involvedObject/name") {
        "" => kind,
        name => format!("{kind}/{name}"),
    }
}

fn source(event: &Value) -> String {
    let component = or(str_at(event, "/source/component"), str_at(event, "/reportingComponent"));
    match or(str_at(event, "/source/host"), str_at(event, "/reportingInstance")) {
        "" => component.to_owned(),
        instance => format!("{component}, {instance}"),
    }
}
