//! Schedules with a name: `@daily`, and `@every` with a span of time.

use jiff::SignedDuration;

use super::{
    Moments, Rhythm,
    field::{DAYS, Field, HOURS, MONTHS, WEEKDAYS},
};

const EVERY: &str = "@every ";
const NANOS_PER_SECOND: i128 = 1_000_000_000;

/// Reads a descriptor.
pub(super) fn parse(text: &str) -> Result<Rhythm, String> {
    let hourly = Moments {
        minute: Field::only(0),
        hour: Field::any(&HOURS),
        day: Field::any(&DAYS),
        month: Field::any(&MONTHS),
        weekday: Field::any(&WEEKDAYS),
    };
    let daily = Moments { hour: Field::only(0), ..hourly.clone() };
    let moments = match text {
        "@yearly" | "@annually" => Moments { day: Field::only(1), month: Field::only(1), ..daily },
        "@monthly" => Moments { day: Field::only(1), ..daily },
        "@weekly" => Moments { weekday: Field::only(0), ..daily },
        "@daily" | "@midnight" => daily,
        "@hourly" => hourly,
        _ => return every(text),
    };
    Ok(Rhythm::At(moments))
}

fn every(text: &str) -> Result<Rhythm, String> {
    let Some(span) = text.strip_prefix(EVERY) else { return Err(format!("unrecognized descriptor: {text}")) };
    let nanos = duration(span).map_err(|why| format!("failed to parse duration {text}: {why}"))?;
    // Whole seconds, and at least one.
    let seconds = i64::try_from((nanos / NANOS_PER_SECOND).max(1)).unwrap_or(i64::MAX);
    Ok(Rhythm::Every(SignedDuration::from_secs(seconds)))
}

/// A span of time as Go's `time.ParseDuration` reads it: `1h30m`, in nanoseconds.
fn duration(text: &str) -> Result<i128, String> {
    let invalid = || format!("time: invalid duration {text:?}");
    let (sign, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (-1, &text[1..]),
        Some(b'+') => (1, &text[1..]),
        _ => (1, text),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').len();
        let (amount, after) = rest.split_at(digits);
        if amount.matches('.').count() > 1 || !amount.bytes().any(|byte| byte.is_ascii_digit()) {
            return Err(invalid());
        }
        let unit_end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        if unit.is_empty() {
            return Err(format!("time: missing unit in duration {text:?}"));
        }
        let Some(scale) = nanos_of(unit) else {
            return Err(format!("time: unknown unit {unit:?} in duration {text:?}"));
        };
        total = scaled(amount, scale).and_then(|part| total.checked_add(part)).ok_or_else(invalid)?;
        rest = after;
    }
    if total > i128::from(i64::MAX) { Err(invalid()) } else { Ok(sign * total) }
}

fn nanos_of(unit: &str) -> Option<i128> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1000,
        "ms" => 1_000_000,
        "s" => NANOS_PER_SECOND,
        "m" => 60 * NANOS_PER_SECOND,
        "h" => 3600 * NANOS_PER_SECOND,
        _ => return None,
    })
}

/// A decimal number of units; what is finer than a nanosecond falls away.
fn scaled(amount: &str, scale: i128) -> Option<i128> {
    let (whole, fraction) = amount.split_once('.').unwrap_or((amount, ""));
    let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut total = whole.checked_mul(scale)?;
    let mut place = scale;
    for digit in fraction.bytes() {
        place /= 10;
        total += i128::from(digit - b'0') * place;
    }
    Some(total)
}
