//! Amounts such as `250m`, `1.5Gi`, `2e3`: exact, with the canonical form of Kubernetes
//! (apimachinery `api/resource`).
//!
//! An amount is a whole number of billionths. What is finer is rounded away from zero, what is
//! larger than 2^63-1 is cut to that, as upstream does.

use std::{cmp::Ordering, fmt, ops, str::FromStr};

mod parse;

/// Billionths in a unit.
const NANO: i128 = 1_000_000_000;
/// The largest amount, in units.
const MAX_UNITS: i128 = i64::MAX as i128;

/// An exact amount that remembers the family of its suffix. Amounts compare by value alone.
#[derive(Clone, Copy, Debug)]
pub struct Quantity {
    nanos: i128,
    format: Format,
}

/// The families of suffixes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `m`, none, `k`, `M`, `G`: powers of 1000.
    DecimalSi,
    /// `Ki`, `Mi`, `Gi`: powers of 1024.
    BinarySi,
    /// `e3`, `E6`.
    DecimalExponent,
}

/// Text that is no amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// Not a number with a suffix.
    #[error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")]
    Form,
    /// A number with two points, or with none of its digits.
    #[error("unable to parse numeric part of quantity")]
    Number,
    /// A suffix of the right letters that means nothing.
    #[error("unable to parse quantity's suffix")]
    Suffix,
}

impl Quantity {
    /// Nothing.
    pub const ZERO: Self = Self { nanos: 0, format: Format::DecimalSi };

    /// So many units.
    pub fn from_units(units: i64) -> Self {
        Self { nanos: i128::from(units) * NANO, format: Format::DecimalSi }
    }

    /// So many thousandths, as CPU time is counted.
    pub fn from_milli(milli: i64) -> Self {
        Self { nanos: i128::from(milli) * 1_000_000, format: Format::DecimalSi }
    }

    /// So many bytes, printed with binary suffixes.
    pub fn from_bytes(bytes: i64) -> Self {
        Self { nanos: i128::from(bytes) * NANO, format: Format::BinarySi }
    }

    /// Whole units, rounded away from zero: bytes of memory, number of pods.
    pub fn units(self) -> i64 {
        clamp(divide_away_from_zero(self.nanos, NANO))
    }

    /// Thousandths, rounded away from zero: CPU time.
    pub fn milli(self) -> i64 {
        clamp(divide_away_from_zero(self.nanos, 1_000_000))
    }

    /// Billionths.
    pub fn nanos(self) -> i128 {
        self.nanos
    }

    /// Whether the amount is zero.
    pub fn is_zero(self) -> bool {
        self.nanos == 0
    }

    /// Whether the amount is below zero.
    pub fn is_negative(self) -> bool {
        self.nanos < 0
    }

    /// Whether the amount is a whole number of units.
    pub fn is_whole(self) -> bool {
        self.nanos % NANO == 0
    }

    fn is_small(self) -> bool {
        self.nanos.abs() < 1024 * NANO
    }

    fn with(self, nanos: i128, other: Self) -> Self {
        let format = if self.is_zero() { other.format } else { self.format };
        Self { nanos: nanos.clamp(-MAX_UNITS * NANO, MAX_UNITS * NANO), format }
    }
}

impl ops::Add for Quantity {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        self.with(self.nanos + other.nanos, other)
    }
}

impl ops::Sub for Quantity {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self.with(self.nanos - other.nanos, other)
    }
}

impl ops::AddAssign for Quantity {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nanos == other.nanos
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        self.nanos.cmp(&other.nanos)
    }
}

impl FromStr for Quantity {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let (nanos, format) = parse::parse(text)?;
        Ok(Self { nanos, format })
    }
}

impl fmt::Display for Quantity {
    /// The canonical form: no fraction, and the largest suffix that allows it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.format {
            Format::BinarySi if !self.is_small() && self.is_whole() => self.write_binary(f),
            Format::BinarySi | Format::DecimalSi => self.write_decimal(f, false),
            Format::DecimalExponent => self.write_decimal(f, true),
        }
    }
}

impl Quantity {
    fn write_binary(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut number, mut suffixes) = (self.nanos / NANO, ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"].into_iter());
        let mut suffix = suffixes.next().unwrap_or_default();
        while number % 1024 == 0 {
            let Some(larger) = suffixes.next() else { break };
            (number, suffix) = (number / 1024, larger);
        }
        write!(f, "{number}{suffix}")
    }

    fn write_decimal(self, f: &mut fmt::Formatter<'_>, exponent: bool) -> fmt::Result {
        const SUFFIXES: [&str; 10] = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];
        let (mut number, mut power) = (self.nanos, 0);
        while number != 0 && number % 1000 == 0 && power + 1 < SUFFIXES.len() {
            (number, power) = (number / 1000, power + 1);
        }
        match (number, power) {
            (0, _) => f.write_str("0"),
            (_, 3) => write!(f, "{number}"),
            // At most 9, so the cast loses nothing.
            _ if exponent => write!(f, "{number}e{}", power as i32 * 3 - 9),
            _ => write!(f, "{number}{}", SUFFIXES[power]),
        }
    }
}

fn divide_away_from_zero(number: i128, by: i128) -> i128 {
    let whole = number / by;
    if number % by == 0 { whole } else { whole + number.signum() }
}

fn clamp(number: i128) -> i64 {
    i64::try_from(number).unwrap_or(if number < 0 { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests;
