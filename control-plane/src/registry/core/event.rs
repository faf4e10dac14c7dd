//! Events (upstream `core/validation/events.go`): what the core group lets pass for the sake of old
//! clients, `events.k8s.io` does not. Field paths are those of the core group, as upstream's.

use nodeplane_api::{meta, names, status::FieldErrors};
use serde_json::Value;

use crate::registry::{Strategy, fields::At, metadata::check_immutable};

/// Longest text of a field, in bytes.
const WORD_LIMIT: usize = 128;
/// Longest message, in bytes.
const MESSAGE_LIMIT: usize = 1024;

/// What never changes in an event that is written through `events.k8s.io`: the path in messages
/// and the field.
const IMMUTABLE: [(&str, &str); 13] = [
    ("involvedObject", "involvedObject"),
    ("reason", "reason"),
    ("message", "message"),
    ("source", "source"),
    ("firstTimestamp", "firstTimestamp"),
    ("lastTimestamp", "lastTimestamp"),
    ("count", "count"),
    ("type", "type"),
    ("eventTime", "eventTime"),
    ("action", "action"),
    ("related", "related"),
    ("reportingController", "reportingComponent"),
    ("reportingInstance", "reportingInstance"),
];

/// The strategy of Events.
pub(in crate::registry) struct EventStrategy {
    /// Whether they are written through `events.k8s.io`.
    pub(in crate::registry) is_strict: bool,
}

impl Strategy for EventStrategy {
    fn has_dependents(&self) -> bool {
        false
    }

    fn is_passing(&self) -> bool {
        true
    }

    fn validate(&self, event: &Value) -> FieldErrors {
        let (event, mut errors) = (At::root(event), FieldErrors::default());
        let has_place = match event.field("involvedObject").field("namespace").text() {
            "" => is_global_place(&event),
            namespace => event.field("eventTime").is_set() || namespace == meta::namespace(event.value),
        };
        if !has_place {
            let about = event.field("involvedObject").field("namespace");
            errors.invalid(about.path.clone(), about.text(), "does not match event.namespace");
        }
        if event.field("eventTime").is_set() {
            check_reporter(&event, &mut errors);
            check_words(&event, &mut errors);
        }
        errors
    }

    fn validate_create(&self, event: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        if self.is_strict {
            let event = At::root(event);
            check_series(&event, &mut errors);
            check_new(&event, &mut errors);
        }
        errors
    }

    fn validate_update(&self, event: &Value, old: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        if self.is_strict {
            let (event, old) = (At::root(event), At::root(old));
            if event.field("series").value != old.field("series").value {
                check_series(&event, &mut errors);
            }
            for (path, field) in IMMUTABLE {
                let now = At { path: path.to_owned(), ..event.field(field) };
                let before = old.field(field);
                if !(is_nothing(now.value) && is_nothing(before.value)) {
                    check_immutable(&now, &before, &mut errors);
                }
            }
        }
        errors
    }
}

/// Whether an event lies where those about cluster-scoped objects do: in `default`; newer clients
/// use `kube-system` too.
fn is_global_place(event: &At<'_>) -> bool {
    match meta::namespace(event.value) {
        "default" => true,
        "kube-system" => event.field("eventTime").is_set(),
        _ => false,
    }
}

fn check_reporter(event: &At<'_>, errors: &mut FieldErrors) {
    let (controller, path) = (event.field("reportingComponent").text(), "reportingController");
    if controller.is_empty() {
        errors.required(path, "");
    }
    for words in names::qualified(controller) {
        errors.invalid(path, controller, words);
    }
    check_word(&event.field("reportingInstance"), errors);
}

fn check_words(event: &At<'_>, errors: &mut FieldErrors) {
    check_word(&event.field("action"), errors);
    check_word(&event.field("reason"), errors);
    let message = event.field("message");
    if message.text().len() > MESSAGE_LIMIT {
        errors.invalid(message.path, "", format!("can have at most {MESSAGE_LIMIT} characters"));
    }
}

fn check_word(word: &At<'_>, errors: &mut FieldErrors) {
    if word.text().is_empty() {
        errors.required(word.path.clone(), "");
    }
    if word.text().len() > WORD_LIMIT {
        errors.invalid(word.path.clone(), "", format!("can have at most {WORD_LIMIT} characters"));
    }
}

fn check_series(event: &At<'_>, errors: &mut FieldErrors) {
    let series = event.field("series");
    if !series.is_set() {
        return;
    }
    let (count, last) = (series.field("count"), series.field("lastObservedTime"));
    if count.integer().unwrap_or(0) < 2 {
        errors.invalid(count.path, "", "should be at least 2");
    }
    if !last.is_set() {
        errors.required(last.path, "");
    }
}

fn check_new(event: &At<'_>, errors: &mut FieldErrors) {
    if !event.field("eventTime").is_set() {
        errors.required("eventTime", "");
    }
    let kind = event.field("type").text();
    if !matches!(kind, "Normal" | "Warning") {
        errors.invalid("type", "", format!("has invalid value: {kind}"));
    }
    for name in ["firstTimestamp", "lastTimestamp", "count"] {
        let field = event.field(name);
        if !is_nothing(field.value) {
            errors.invalid(field.path, "", "needs to be unset");
        }
    }
    let source = event.field("source");
    if ["component", "host"].iter().any(|name| !source.field(name).text().is_empty()) {
        errors.invalid(source.path, "", "needs to be unset");
    }
}

/// What Go takes for absent.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Object(fields) => fields.is_empty(),
        Value::String(text) => text.is_empty(),
        value => value.is_null() || *value == 0,
    }
}

#[cfg(test)]
mod tests;
