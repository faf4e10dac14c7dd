//! Durations as Go writes them, such as `1m30s`: parameters and flags of Kubernetes are.
//!
//! In: text. Out: a duration, or the words of Go's `time.ParseDuration`. What is negative counts as
//! nothing, since no duration here can be.

use std::time::Duration;

/// Units with their nanoseconds.
const UNITS: [(&str, f64); 8] =
    [("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("μs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 60e9), ("h", 3600e9)];

/// The longest duration that Go knows, in nanoseconds.
const LONGEST: f64 = 9_223_372_036_854_775_807.0;

/// Reads a duration.
///
/// # Errors
/// What Go says about it.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let invalid = || format!("time: invalid duration {text:?}");
    let (is_negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut nanos = 0.0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(end);
        if !number.bytes().any(|byte| byte.is_ascii_digit()) || number.matches('.').count() > 1 {
            return Err(invalid());
        }
        let end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        if unit.is_empty() {
            return Err(format!("time: missing unit in duration {text:?}"));
        }
        let known = UNITS.iter().find(|(name, _)| *name == unit);
        let (_, size) = known.ok_or_else(|| format!("time: unknown unit {unit:?} in duration {text:?}"))?;
        nanos += number.parse::<f64>().map_err(|_| invalid())? * size;
        if nanos > LONGEST {
            return Err(invalid());
        }
        rest = after;
    }
    Ok(if is_negative { Duration::ZERO } else { Duration::from_secs_f64(nanos / 1e9) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        let cases = [
            ("0", 0),
            ("0s", 0),
            ("10ms", 10),
            ("1.5s", 1500),
            ("1m30s", 90_000),
            ("+1h", 3_600_000),
            (".5s", 500),
            ("-3s", 0),
            ("2000us", 2),
        ];
        for (text, millis) in cases {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn what_is_none_is_told_in_the_words_of_go() {
        let cases = [
            ("", "time: invalid duration \"\""),
            ("3", "time: missing unit in duration \"3\""),
            ("1x", "time: unknown unit \"x\" in duration \"1x\""),
            ("s", "time: invalid duration \"s\""),
            (".s", "time: invalid duration \".s\""),
            ("1.2.3s", "time: invalid duration \"1.2.3s\""),
            ("9999999999h", "time: invalid duration \"9999999999h\""),
            ("-", "time: invalid duration \"-\""),
        ];
        for (text, words) in cases {
            assert_eq!(parse(text), Err(words.to_owned()), "{text}");
        }
    }
}
