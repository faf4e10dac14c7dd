//! Pods as people write them: what is filled in, and what is said about what is wrong.

mod containers;
mod defaults;
mod placement;
mod whole;

use serde_json::{Value, json};

use crate::registry::{cases, core::pod::PodStrategy};

fn pod() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "web", "namespace": "default" },
        "spec": { "containers": [{ "name": "c", "image": "web:1" }] },
    })
}

fn with(changes: &[(&str, Value)]) -> Value {
    cases::with(&pod(), changes)
}

fn created(changes: &[(&str, Value)]) -> Value {
    cases::created(&PodStrategy, &with(changes))["spec"].take()
}

/// What differs from a good pod, and all that is said about it.
type Row<'a> = (&'a [(&'a str, Value)], &'a [&'a str]);

fn check(rows: &[Row<'_>]) {
    for (changes, expected) in rows {
        assert_eq!(cases::refused(&PodStrategy, &with(changes)), *expected, "{changes:?}");
    }
}

const C: &str = "/spec/containers/0";

fn at(field: &str) -> String {
    format!("{C}/{field}")
}

/// The same for one field of the container.
fn check_container(rows: &[(&str, Value, &[&str])]) {
    for (field, value, expected) in rows {
        let changes = [(at(field), value.clone())];
        let changes: Vec<(&str, Value)> = changes.iter().map(|(path, value)| (path.as_str(), value.clone())).collect();
        assert_eq!(cases::refused(&PodStrategy, &with(&changes)), *expected, "{field}: {value}");
    }
}
