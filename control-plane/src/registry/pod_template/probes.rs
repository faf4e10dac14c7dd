//! What is wrong with probes and lifecycle handlers (upstream `validateProbe`, `validateHandler`).

use nodeplane_api::{names, status::FieldErrors};

use super::spec::{not_negative, one_of};
use crate::registry::{core::check_target, fields::At};

/// Adds what is wrong with the probes of a container.
pub(super) fn check_probes(container: &At<'_>, errors: &mut FieldErrors) {
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let probe = container.field(name);
        if !probe.is_set() {
            continue;
        }
        check_handler(&probe, &["exec", "httpGet", "tcpSocket", "grpc"], 0, errors);
        for number in ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"]
        {
            not_negative(&probe.field(number), errors);
        }
        let threshold = probe.field("successThreshold");
        if name != "readinessProbe" && threshold.integer().is_some_and(|value| value != 1) {
            errors.invalid(threshold.path, threshold.value.clone(), "must be 1");
        }
        let grace = probe.field("terminationGracePeriodSeconds");
        if name == "readinessProbe" && grace.is_set() {
            let words = "must not be set for readinessProbes";
            errors.invalid(grace.path, grace.value.clone(), words);
        } else if grace.integer().is_some_and(|seconds| seconds <= 0) {
            errors.invalid(grace.path, grace.value.clone(), "must be greater than 0");
        }
    }
}

/// Adds what is wrong with what runs after a container's start and before its end.
pub(super) fn check_lifecycle(lifecycle: &At<'_>, grace: i64, errors: &mut FieldErrors) {
    for name in ["postStart", "preStop"] {
        let handler = lifecycle.field(name);
        if handler.is_set() {
            check_handler(&handler, &["exec", "httpGet", "tcpSocket", "sleep"], grace, errors);
        }
    }
}

fn check_handler(handler: &At<'_>, kinds: &[&str], grace: i64, errors: &mut FieldErrors) {
    let given: Vec<(&str, At<'_>)> =
        kinds.iter().map(|kind| (*kind, handler.field(kind))).filter(|(_, action)| action.is_set()).collect();
    if given.is_empty() {
        errors.required(handler.path.clone(), "must specify a handler type");
    }
    for (index, (kind, action)) in given.iter().enumerate() {
        if index > 0 {
            errors.forbidden(action.path.clone(), "may not specify more than 1 handler type");
            continue;
        }
        match *kind {
            "exec" => {
                let command = action.field("command");
                if command.len() == 0 {
                    errors.required(command.path, "");
                }
            }
            "httpGet" => check_http_get(action, errors),
            "sleep" => {
                let seconds = action.field("seconds").integer().unwrap_or(0);
                if !(0..=grace).contains(&seconds) {
                    let words = format!("must be non-negative and less than terminationGracePeriodSeconds ({grace})");
                    errors.invalid(action.path.clone(), seconds, words);
                }
            }
            _ => check_target(&action.field("port"), errors),
        }
    }
}

fn check_http_get(action: &At<'_>, errors: &mut FieldErrors) {
    let path = action.field("path");
    if path.text().is_empty() {
        errors.required(path.path, "");
    }
    check_target(&action.field("port"), errors);
    one_of(&action.field("scheme"), &["HTTP", "HTTPS"], errors);
    for header in action.field("httpHeaders").items() {
        let name = header.field("name").text();
        for words in names::http_header(name) {
            errors.invalid(format!("{}.httpHeaders", action.path), name, words);
        }
    }
}
