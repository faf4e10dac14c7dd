//! Spans of time as people say them (apimachinery `duration.HumanDuration`).

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

const UNKNOWN: &str = "<unknown>";

/// The time from the moment that a field names until now; `<unknown>` when it names none.
pub(super) fn since(object: &Value, pointer: &str, now: Timestamp) -> String {
    match moment(object, pointer) {
        Some(then) => human(now.duration_since(then)),
        None => UNKNOWN.to_owned(),
    }
}

/// The moment that a field names.
pub(super) fn moment(object: &Value, pointer: &str) -> Option<Timestamp> {
    object.pointer(pointer)?.as_str()?.parse().ok()
}

/// Two units at most, the finer one only while it matters: `90s`, `2m3s`, `3h12m`, `5d2h`, `400d`.
pub(super) fn human(span: SignedDuration) -> String {
    let seconds = span.as_secs();
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    let (days, years) = (hours / 24, hours / 24 / 365);
    match () {
        // Clocks may differ a little.
        () if seconds < -1 => "<invalid>".to_owned(),
        () if seconds < 0 => "0s".to_owned(),
        () if seconds < 120 => format!("{seconds}s"),
        () if minutes < 10 => two(minutes, "m", seconds % 60, "s"),
        () if minutes < 180 => format!("{minutes}m"),
        () if hours < 8 => two(hours, "h", minutes % 60, "m"),
        () if hours < 48 => format!("{hours}h"),
        () if days < 8 => two(days, "d", hours % 24, "h"),
        () if years < 2 => format!("{days}d"),
        () if years < 8 => two(years, "y", days % 365, "d"),
        () => format!("{years}y"),
    }
}

fn two(count: i64, unit: &str, rest: i64, finer: &str) -> String {
    if rest == 0 { format!("{count}{unit}") } else { format!("{count}{unit}{rest}{finer}") }
}
