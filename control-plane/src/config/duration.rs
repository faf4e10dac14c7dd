//! Durations, as flags of Kubernetes name them.

use std::time::Duration;

/// Seconds of each unit.
const UNITS: [(&str, f64); 4] = [("ms", 0.001), ("h", 3600.0), ("m", 60.0), ("s", 1.0)];

/// `1h30m`, `5m0s`, `250ms`, `0`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let refused = || "write a duration such as 5m, 1h30m or 30s".to_owned();
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let (mut rest, mut seconds) = (text, 0.0);
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(refused)?;
        let number: f64 = rest[..end].parse().map_err(|_| refused())?;
        let (unit, each) = UNITS.into_iter().find(|(unit, _)| rest[end..].starts_with(unit)).ok_or_else(refused)?;
        seconds += number * each;
        rest = &rest[end + unit.len()..];
    }
    if text.is_empty() {
        return Err(refused());
    }
    Duration::try_from_secs_f64(seconds).map_err(|_| refused())
}
