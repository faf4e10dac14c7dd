//! Numbers of pods and shares of them, such as `25%` (upstream `ValidatePositiveIntOrPercent`).

use nodeplane_api::{names, status::FieldErrors};
use serde_json::Value;

use super::{fields::At, pod_template::not_negative};

/// Adds what is wrong with a number of pods or a share of them.
pub(super) fn check_share(field: &At<'_>, errors: &mut FieldErrors) {
    match field.value {
        Value::String(text) => {
            for words in names::percent(text) {
                errors.invalid_shown(field.path.clone(), show_share(field.value), words);
            }
        }
        _ => not_negative(field, errors),
    }
}

/// Adds an error for a share of more than all.
pub(super) fn check_at_most_all(field: &At<'_>, errors: &mut FieldErrors) {
    let percent = field.text().strip_suffix('%').and_then(|digits| digits.parse::<u64>().ok());
    if percent.is_some_and(|percent| percent > 100) {
        errors.invalid_shown(field.path.clone(), show_share(field.value), "must not be greater than 100%");
    }
}

/// Whether it comes to nothing; so does what is no number.
pub(super) fn is_zero(share: &Value) -> bool {
    let number = match share {
        Value::String(text) => text.strip_suffix('%').unwrap_or(text).parse().ok(),
        number => number.as_i64(),
    };
    number.unwrap_or(0) == 0
}

/// A number or a share as Go prints it.
pub(super) fn show_share(share: &Value) -> String {
    let (kind, number, text) = match share {
        Value::String(text) => (1, 0, text.as_str()),
        number => (0, number.as_i64().unwrap_or(0), ""),
    };
    format!("intstr.IntOrString{{Type:{kind}, IntVal:{number}, StrVal:{text:?}}}")
}
