//! One field of a schedule: numbers, names, ranges and steps.

/// What a field may hold.
pub(super) struct Bounds {
    min: u64,
    max: u64,
    names: &'static [&'static str],
}

const NAMES_OF_MONTHS: &[&str] = &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

pub(super) const MINUTES: Bounds = Bounds { min: 0, max: 59, names: &[] };
pub(super) const HOURS: Bounds = Bounds { min: 0, max: 23, names: &[] };
pub(super) const DAYS: Bounds = Bounds { min: 1, max: 31, names: &[] };
pub(super) const MONTHS: Bounds = Bounds { min: 1, max: 12, names: NAMES_OF_MONTHS };
pub(super) const WEEKDAYS: Bounds =
    Bounds { min: 0, max: 6, names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"] };

/// The numbers that match.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Field {
    bits: u64,
    /// Whether the field says "any", so that it does not narrow days.
    pub(super) is_open: bool,
}

impl Field {
    /// A field that one number matches.
    pub(super) fn only(number: u32) -> Self {
        Self { bits: 1 << number, is_open: false }
    }

    /// A field that everything matches.
    pub(super) fn any(bounds: &Bounds) -> Self {
        let mut any = Self { bits: 0, is_open: true };
        any.take(bounds.min, bounds.max, 1);
        any
    }

    /// Reads a field: ranges between commas.
    pub(super) fn parse(text: &str, bounds: &Bounds) -> Result<Self, String> {
        let mut field = Self::default();
        for range in text.split(',').filter(|range| !range.is_empty()) {
            field.add(range, bounds)?;
        }
        Ok(field)
    }

    /// Whether a number matches.
    pub(super) fn has(self, number: i8) -> bool {
        u32::try_from(number).is_ok_and(|number| self.bits >> number & 1 == 1)
    }

    /// Adds `number`, `number-number`, `*` or `?`, each with `/step` or without.
    fn add(&mut self, text: &str, bounds: &Bounds) -> Result<(), String> {
        let parts: Vec<&str> = text.split('/').collect();
        let ends: Vec<&str> = parts[0].split('-').collect();
        let is_any = matches!(ends[0], "*" | "?");
        let (start, mut end) = if is_any { (bounds.min, bounds.max) } else { read_range(&ends, text, bounds)? };
        let step = match parts[..] {
            [_] => 1,
            [_, step] => {
                // `5/10` goes on to the end.
                if ends.len() == 1 {
                    end = bounds.max;
                }
                number(step)?
            }
            _ => return Err(format!("too many slashes: {text}")),
        };
        match () {
            () if start < bounds.min => {
                Err(format!("beginning of range ({start}) below minimum ({}): {text}", bounds.min))
            }
            () if end > bounds.max => Err(format!("end of range ({end}) above maximum ({}): {text}", bounds.max)),
            () if start > end => Err(format!("beginning of range ({start}) beyond end of range ({end}): {text}")),
            () if step == 0 => Err(format!("step of range should be a positive number: {text}")),
            () => {
                self.is_open |= is_any && step == 1;
                self.take(start, end, step);
                Ok(())
            }
        }
    }

    fn take(&mut self, start: u64, end: u64, step: u64) {
        let mut at = start;
        while at <= end {
            self.bits |= 1 << at;
            at = at.saturating_add(step);
        }
    }
}

fn read_range(ends: &[&str], text: &str, bounds: &Bounds) -> Result<(u64, u64), String> {
    let start = number_or_name(ends[0], bounds)?;
    match ends {
        [_] => Ok((start, start)),
        [_, end] => Ok((start, number_or_name(end, bounds)?)),
        _ => Err(format!("too many hyphens: {text}")),
    }
}

fn number_or_name(text: &str, bounds: &Bounds) -> Result<u64, String> {
    let found = (bounds.min..).zip(bounds.names).find(|(_, name)| text.eq_ignore_ascii_case(name));
    found.map_or_else(|| number(text), |(number, _)| Ok(number))
}

/// A number as Go's `strconv.Atoi` reads it, which must not be negative.
fn number(text: &str) -> Result<u64, String> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("failed to parse int from {text}: strconv.Atoi: parsing {text:?}: invalid syntax"));
    }
    match text.parse::<i64>() {
        Ok(number) => u64::try_from(number).map_err(|_| format!("negative number ({number}) not allowed: {text}")),
        Err(_) => Err(format!("failed to parse int from {text}: strconv.Atoi: parsing {text:?}: value out of range")),
    }
}
