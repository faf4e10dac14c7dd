use jiff::{Timestamp, civil::date, tz::TimeZone};

use super::*;

fn refused(text: &str) -> String {
    Schedule::parse(text).expect_err(text)
}

/// The next few moments after this one, as clocks of the zone show them.
fn follow(schedule: &str, after: &str, place: &str, count: usize) -> Vec<String> {
    let zone = zone(place).expect("a zone");
    let schedule = Schedule::parse(schedule).expect("a schedule");
    let mut at: Timestamp = after.parse().expect("a time");
    let mut found = Vec::new();
    for _ in 0..count {
        at = schedule.next(at, &zone).expect("a next moment");
        found.push(at.to_zoned(zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string());
    }
    found
}

#[test]
fn what_is_no_schedule_is_refused_in_words_of_upstream() {
    let syntax =
        |text: &str| format!("failed to parse int from {text}: strconv.Atoi: parsing \"{text}\": invalid syntax");
    for (text, expected) in [
        ("", "empty spec string"),
        ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
        ("0 0 * *  * *", "expected exactly 5 fields, found 6: [0 0 * * * *]"),
        ("60 * * * *", "end of range (60) above maximum (59): 60"),
        ("* 24 * * *", "end of range (24) above maximum (23): 24"),
        ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
        ("* * * 13 *", "end of range (13) above maximum (12): 13"),
        ("* * * * 7", "end of range (7) above maximum (6): 7"),
        ("5-2 * * * *", "beginning of range (5) beyond end of range (2): 5-2"),
        ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
        ("*/2/3 * * * *", "too many slashes: */2/3"),
        ("*/0 * * * *", "step of range should be a positive number: */0"),
        ("*/-5 * * * *", "negative number (-5) not allowed: -5"),
        ("a * * * *", &syntax("a")),
        ("*/ * * * *", &syntax("")),
        ("-1 * * * *", &syntax("")),
        ("* * * foo *", &syntax("foo")),
        (
            "99999999999999999999 * * * *",
            "failed to parse int from 99999999999999999999: strconv.Atoi: parsing \"99999999999999999999\": value out \
             of range",
        ),
        ("@often", "unrecognized descriptor: @often"),
        ("@every x", "failed to parse duration @every x: time: invalid duration \"x\""),
        ("@every 5", "failed to parse duration @every 5: time: missing unit in duration \"5\""),
        ("@every 5d", "failed to parse duration @every 5d: time: unknown unit \"d\" in duration \"5d\""),
        ("TZ=Mars/Base * * * * *", "provided bad location Mars/Base: unknown time zone Mars/Base"),
        ("TZ=UTC", "expected exactly 5 fields, found 0: []"),
    ] {
        assert_eq!(refused(text), expected, "{text:?}");
    }
}

#[test]
fn what_upstream_takes_is_taken() {
    for text in [
        "*/5 * * * *",
        "? * ? * ?",
        "0,30 8-18/2 1-15 JAN-Mar mon-FRI",
        "5/10 * * * *",
        "0 0 1,,2 * *",
        "*/61 * * * *",
        "@yearly",
        "@annually",
        "@monthly",
        "@weekly",
        "@daily",
        "@midnight",
        "@hourly",
        "@every 1h30m",
        "@every 1.5h",
        "@every -3s",
        "@every 0",
        "CRON_TZ=Europe/Berlin 0 8 * * *",
    ] {
        assert!(Schedule::parse(text).is_ok(), "{text:?}: {:?}", Schedule::parse(text));
    }
}

#[test]
fn the_next_moment_is_the_first_that_matches() {
    let after = "2025-06-01T11:59:30Z";
    for (schedule, expected) in [
        ("* * * * *", ["2025-06-01T12:00:00+00:00", "2025-06-01T12:01:00+00:00"]),
        ("*/20 * * * *", ["2025-06-01T12:00:00+00:00", "2025-06-01T12:20:00+00:00"]),
        ("50/4 * * * *", ["2025-06-01T12:50:00+00:00", "2025-06-01T12:54:00+00:00"]),
        ("30 9 * * *", ["2025-06-02T09:30:00+00:00", "2025-06-03T09:30:00+00:00"]),
        ("0 0 31 * *", ["2025-07-31T00:00:00+00:00", "2025-08-31T00:00:00+00:00"]),
        ("0 0 29 feb *", ["2028-02-29T00:00:00+00:00", "2032-02-29T00:00:00+00:00"]),
        ("0 12 * * sun", ["2025-06-01T12:00:00+00:00", "2025-06-08T12:00:00+00:00"]),
        // With both days named, either will do; with one of them open, the other decides.
        ("0 0 3 * mon", ["2025-06-02T00:00:00+00:00", "2025-06-03T00:00:00+00:00"]),
        ("0 0 */1 * mon", ["2025-06-02T00:00:00+00:00", "2025-06-09T00:00:00+00:00"]),
        ("0 0 */2 * mon", ["2025-06-02T00:00:00+00:00", "2025-06-03T00:00:00+00:00"]),
        ("@hourly", ["2025-06-01T12:00:00+00:00", "2025-06-01T13:00:00+00:00"]),
        ("@daily", ["2025-06-02T00:00:00+00:00", "2025-06-03T00:00:00+00:00"]),
        ("@weekly", ["2025-06-08T00:00:00+00:00", "2025-06-15T00:00:00+00:00"]),
        ("@monthly", ["2025-07-01T00:00:00+00:00", "2025-08-01T00:00:00+00:00"]),
        ("@yearly", ["2026-01-01T00:00:00+00:00", "2027-01-01T00:00:00+00:00"]),
        ("@every 90s", ["2025-06-01T12:01:00+00:00", "2025-06-01T12:02:30+00:00"]),
        ("@every 100ms", ["2025-06-01T11:59:31+00:00", "2025-06-01T11:59:32+00:00"]),
    ] {
        assert_eq!(follow(schedule, after, "UTC", 2), expected, "{schedule}");
    }
    // A moment does not follow itself.
    assert_eq!(follow("0 12 * * *", "2025-06-01T12:00:00Z", "UTC", 1), ["2025-06-02T12:00:00+00:00"]);
}

#[test]
fn what_never_comes_has_no_next_moment() {
    let schedule = Schedule::parse("0 0 30 2 *").unwrap();
    assert_eq!(schedule.next(Timestamp::UNIX_EPOCH, &TimeZone::UTC), None);
}

#[test]
fn hours_are_those_of_the_place() {
    let summer = "2025-07-01T00:00:00Z";
    assert_eq!(follow("0 8 * * *", summer, "Europe/Berlin", 1), ["2025-07-01T08:00:00+02:00"]);
    // A schedule's own zone comes first.
    assert_eq!(follow("CRON_TZ=Asia/Tokyo 0 8 * * *", summer, "UTC", 1), ["2025-07-01T23:00:00+00:00"]);
    // The hour that does not exist is left out, the one that comes twice counts twice.
    assert_eq!(
        follow("30 2 * * *", "2025-03-29T00:00:00Z", "Europe/Berlin", 2),
        ["2025-03-29T02:30:00+01:00", "2025-03-31T02:30:00+02:00"]
    );
    assert_eq!(
        follow("30 2 * * *", "2025-10-25T12:00:00Z", "Europe/Berlin", 3),
        ["2025-10-26T02:30:00+02:00", "2025-10-26T02:30:00+01:00", "2025-10-27T02:30:00+01:00"]
    );
    // Where the day begins at one o'clock.
    assert_eq!(follow("0 3 * * *", "2025-09-06T12:00:00Z", "America/Santiago", 1), ["2025-09-07T03:00:00-03:00"]);
}

#[test]
fn zones_have_exact_names() {
    for name in ["UTC", "Etc/UTC", "Europe/Berlin", "US/Pacific", "America/Argentina/Buenos_Aires"] {
        assert!(zone(name).is_some(), "{name}");
    }
    for name in ["", "europe/berlin", "Europe/Pariss", "Local", "../etc"] {
        assert!(zone(name).is_none(), "{name}");
    }
    let noon = date(2025, 1, 1).at(12, 0, 0, 0).to_zoned(zone("Asia/Kolkata").unwrap()).unwrap();
    assert_eq!(noon.timestamp().to_string(), "2025-01-01T06:30:00Z");
}
