//! What cells of several kinds have in common: reading fields, joining them, cutting them short.

use serde_json::Value;

/// What stands for nothing.
pub(super) const NONE: &str = "<none>";

/// Items of a list that a cell shows.
const SHOWN: usize = 3;

/// The text of a field, empty when it is absent.
pub(super) fn str_at<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// A cell with the text of a field.
pub(super) fn text(object: &Value, pointer: &str) -> Value {
    str_at(object, pointer).into()
}

/// A cell with the text of a field, or what stands for an empty one.
pub(super) fn text_or(object: &Value, pointer: &str, empty: &str) -> Value {
    or(str_at(object, pointer), empty).into()
}

/// A text, or what stands for an empty one.
pub(super) fn or<'a>(text: &'a str, empty: &'a str) -> &'a str {
    if text.is_empty() { empty } else { text }
}

/// The number of a field, 0 when it is absent.
pub(super) fn int_at(object: &Value, pointer: &str) -> i64 {
    object.pointer(pointer).and_then(Value::as_i64).unwrap_or(0)
}

/// The items of a list; none when it is absent.
pub(super) fn items<'a>(object: &'a Value, pointer: &str) -> impl DoubleEndedIterator<Item = &'a Value> + use<'a> {
    object.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

/// How many items a list has or entries a map.
pub(super) fn len(object: &Value, pointer: &str) -> i64 {
    let count = match object.pointer(pointer) {
        Some(Value::Array(items)) => items.len(),
        Some(Value::Object(entries)) => entries.len(),
        _ => 0,
    };
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// One text field of every item of a list, joined by commas.
pub(super) fn joined(object: &Value, list: &str, field: &str) -> String {
    let texts: Vec<&str> = items(object, list).map(|item| item[field].as_str().unwrap_or_default()).collect();
    texts.join(",")
}

/// A map of labels as `a=1,b=2`; `<none>` when it is empty.
pub(super) fn labels(object: &Value, pointer: &str) -> String {
    let entries = object.pointer(pointer).and_then(Value::as_object).into_iter().flatten();
    let mut pairs: Vec<String> =
        entries.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect();
    pairs.sort();
    or(&pairs.join(","), NONE).to_owned()
}

/// The first few of all items, and how many more there are.
pub(super) fn first_few(all: &[String]) -> String {
    let shown = all[..all.len().min(SHOWN)].join(",");
    match all.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} + {more} more..."),
    }
}

/// A number or a share such as `25%`; what stands for an empty one when there is none.
pub(super) fn number_or_text(object: &Value, pointer: &str, empty: &str) -> Value {
    match object.pointer(pointer) {
        Some(Value::Number(number)) => number.to_string().into(),
        Some(Value::String(text)) => text.as_str().into(),
        _ => empty.into(),
    }
}

/// The truth of a field, or what it is when it is absent.
pub(super) fn truth_or(object: &Value, pointer: &str, absent: bool) -> Value {
    object.pointer(pointer).and_then(Value::as_bool).unwrap_or(absent).into()
}
