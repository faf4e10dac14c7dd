//! Text to billionths.

use super::{Format, MAX_UNITS, NANO, QuantityError};

/// More significant digits than matter: the largest amount has 28 digits in billionths.
const DIGITS: usize = 30;

/// Reads `[sign] digits [. digits] [suffix]`.
pub(super) fn parse(text: &str) -> Result<(i128, Format), QuantityError> {
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    let (number, suffix) = rest.split_at(end);
    if number.is_empty() || !is_suffix_form(suffix) {
        return Err(QuantityError::Form);
    }
    let scale = scale(suffix).ok_or(QuantityError::Suffix)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.contains('.') || (whole.is_empty() && fraction.is_empty()) {
        return Err(QuantityError::Number);
    }
    let nanos = match scale {
        Scale::Decimal(power, _) => decimal(whole, fraction, power),
        Scale::Binary(shift) => binary(whole, fraction, shift),
    };
    let nanos = nanos.unwrap_or(i128::MAX).min(MAX_UNITS * NANO);
    Ok((if negative { -nanos } else { nanos }, scale.format()))
}

#[derive(Clone, Copy)]
enum Scale {
    /// A power of ten.
    Decimal(i64, Format),
    /// A power of two.
    Binary(u32),
}

impl Scale {
    fn format(self) -> Format {
        match self {
            Self::Decimal(_, format) => format,
            Self::Binary(_) => Format::BinarySi,
        }
    }
}

fn is_suffix_form(suffix: &str) -> bool {
    let rest = suffix.trim_start_matches(|c| "eEinumkKMGTP".contains(c));
    let rest = rest.strip_prefix(['-', '+']).unwrap_or(rest);
    rest.bytes().all(|b| b.is_ascii_digit())
}

fn scale(suffix: &str) -> Option<Scale> {
    let si = |power| Some(Scale::Decimal(power, Format::DecimalSi));
    match suffix {
        "n" => si(-9),
        "u" => si(-6),
        "m" => si(-3),
        "" => si(0),
        "k" => si(3),
        "M" => si(6),
        "G" => si(9),
        "T" => si(12),
        "P" => si(15),
        "E" => si(18),
        "Ki" => Some(Scale::Binary(10)),
        "Mi" => Some(Scale::Binary(20)),
        "Gi" => Some(Scale::Binary(30)),
        "Ti" => Some(Scale::Binary(40)),
        "Pi" => Some(Scale::Binary(50)),
        "Ei" => Some(Scale::Binary(60)),
        _ => {
            let power = suffix.strip_prefix(['e', 'E'])?.parse::<i32>().ok()?;
            Some(Scale::Decimal(i64::from(power), Format::DecimalExponent))
        }
    }
}

/// Billionths of `whole.fraction * 10^power`, rounded up; `None` when too large.
fn decimal(whole: &str, fraction: &str, power: i64) -> Option<i128> {
    let digits: String = [whole, fraction].concat();
    let digits = digits.trim_start_matches('0');
    let (kept, dropped) = digits.split_at(digits.len().min(DIGITS));
    let rest = dropped.bytes().any(|b| b != b'0');
    let number: i128 = if kept.is_empty() { 0 } else { kept.parse().ok()? };
    let length = |text: &str| i64::try_from(text.len()).ok();
    let exponent = power + 9 - length(fraction)? + length(dropped)?;
    match u32::try_from(exponent) {
        _ if number == 0 => Some(0),
        Ok(exponent) => 10_i128.checked_pow(exponent)?.checked_mul(number),
        Err(_) => {
            let divisor = u32::try_from(-exponent).ok().and_then(|power| 10_i128.checked_pow(power));
            Some(divisor.map_or(1, |divisor| divide_up(number, divisor, rest)))
        }
    }
}

/// Billionths of `whole.fraction * 2^shift`, rounded up; `None` when too large. Digits of the
/// fraction behind the twentieth only count for rounding.
fn binary(whole: &str, fraction: &str, shift: u32) -> Option<i128> {
    let units: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let units = units.checked_mul(1 << shift)?.checked_mul(NANO)?;
    let (kept, dropped) = fraction.split_at(fraction.len().min(20));
    let rest = dropped.bytes().any(|b| b != b'0');
    let parts: i128 = format!("{kept:0<20}").parse().ok()?;
    units.checked_add(divide_up(parts << shift, 10_i128.pow(11), rest))
}

fn divide_up(number: i128, by: i128, rest: bool) -> i128 {
    number / by + i128::from(number % by != 0 || rest)
}
