use proptest::{collection::vec, prelude::*};

use super::*;
use crate::{
    forward::fake::{a, cname, soa},
    golden::{lines, query},
};

const LARGE: usize = 1 << 20;

fn message(code: ResponseCode, answers: &[Record], authorities: &[Record]) -> Message {
    let mut message = Message::query();
    message.metadata.response_code = code;
    message.answers = answers.to_vec();
    message.authorities = authorities.to_vec();
    message
}

fn question(text: &str) -> Question {
    Question::new(&query(text), false, false)
}

fn put(cache: &Cache, text: &str, message: &Message, now: Instant) {
    cache.put(question(text), &message.to_vec().unwrap(), &Reply::from(message.clone()), now);
}

fn get(cache: &Cache, text: &str, now: Instant) -> Option<Reply> {
    cache.get(&question(text), &query(text), now)
}

/// For how many seconds a message is kept.
fn lifetime_of(text: &str, message: &Message) -> u64 {
    lifetime(query(text).query_type(), &Reply::from(message.clone())).map_or(0, |lifetime| lifetime.as_secs())
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn an_answer_lives_as_long_as_its_shortest_record_and_counts_down() {
    let (cache, now) = (Cache::new(LARGE), Instant::now());
    let records = [cname("www.example.org.", 300, "host.example.org."), a("host.example.org.", 60, [192, 0, 2, 1])];
    put(&cache, "www.example.org A", &message(ResponseCode::NoError, &records, &[]), now);
    let reply = get(&cache, "WWW.Example.org A", now + seconds(59)).unwrap();
    assert_eq!(
        lines(&reply.answers),
        ["WWW.Example.org. 241 CNAME host.example.org.", "host.example.org. 1 A 192.0.2.1"]
    );
    assert!(!reply.authoritative);
    assert_eq!(get(&cache, "www.example.org A", now + seconds(60)), None);
}

#[test]
fn another_question_has_another_answer() {
    let (cache, now) = (Cache::new(LARGE), Instant::now());
    let records = [a("www.example.org.", 60, [192, 0, 2, 1])];
    put(&cache, "www.example.org A", &message(ResponseCode::NoError, &records, &[]), now);
    let query = query("www.example.org A");
    assert!(cache.get(&Question::new(&query, false, false), &query, now).is_some());
    for other in
        [Question::new(&query, true, false), Question::new(&query, false, true), question("www.example.org AAAA")]
    {
        assert_eq!(cache.get(&other, &query, now), None);
    }
}

#[test]
fn denials_live_as_long_as_the_soa_says() {
    let denied = |ttl, minimum| message(ResponseCode::NXDomain, &[], &[soa(ttl, minimum)]);
    assert_eq!(lifetime_of("no.example.org A", &denied(600, 30)), 30);
    assert_eq!(lifetime_of("no.example.org A", &denied(30, 600)), 30);
    assert_eq!(lifetime_of("no.example.org A", &denied(90_000, 90_000)), MAX_DENIAL_TTL.as_secs());
    let no_data = message(ResponseCode::NoError, &[], &[soa(600, 30)]);
    assert_eq!(lifetime_of("www.example.org AAAA", &no_data), 30);
}

#[test]
fn an_alias_to_nothing_is_a_denial() {
    let alias = [cname("www.example.org.", 600, "host.example.org.")];
    let no_data = message(ResponseCode::NoError, &alias, &[soa(600, 30)]);
    assert_eq!(lifetime_of("www.example.org A", &no_data), 30);
    assert_eq!(lifetime_of("www.example.org CNAME", &no_data), 600);
    assert_eq!(lifetime_of("www.example.org A", &message(ResponseCode::NoError, &alias, &[])), 0);
}

#[test]
fn what_says_nothing_about_time_is_not_kept() {
    let record = |ttl| a("www.example.org.", ttl, [192, 0, 2, 1]);
    let text = "www.example.org A";
    assert_eq!(lifetime_of(text, &message(ResponseCode::NXDomain, &[], &[])), 0);
    assert_eq!(lifetime_of(text, &message(ResponseCode::NoError, &[], &[])), 0);
    assert_eq!(lifetime_of(text, &message(ResponseCode::NoError, &[record(0)], &[])), 0);
    assert_eq!(lifetime_of(text, &message(ResponseCode::NoError, &[record(90_000)], &[])), MAX_TTL.as_secs());
    for code in [ResponseCode::ServFail, ResponseCode::Refused, ResponseCode::FormErr] {
        assert_eq!(lifetime_of(text, &message(code, &[record(60)], &[soa(60, 60)])), 0);
    }
}

#[test]
fn what_is_asked_for_outlives_what_is_not() {
    let now = Instant::now();
    let answer = message(ResponseCode::NoError, &[a("x.example.org.", 60, [192, 0, 2, 1])], &[]);
    let cache = Cache::new(40 * (OVERHEAD + 60));
    put(&cache, "hot.example.org A", &answer, now);
    put(&cache, "cold.example.org A", &answer, now);
    for number in 0..200 {
        put(&cache, &format!("n{number}.example.org A"), &answer, now);
        assert!(get(&cache, "hot.example.org A", now).is_some(), "lost after {number}");
    }
    assert_eq!(get(&cache, "cold.example.org A", now), None);
}

#[test]
fn a_reply_that_is_larger_than_the_cache_is_not_kept() {
    let (cache, now) = (Cache::new(2 * OVERHEAD), Instant::now());
    let records: Vec<Record> = (0..200).map(|number| a("x.example.org.", 60, [192, 0, 2, number])).collect();
    put(&cache, "x.example.org A", &message(ResponseCode::NoError, &records, &[]), now);
    assert_eq!((cache.bytes(), get(&cache, "x.example.org A", now)), (0, None));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever is put in and asked for: never more memory than allowed, never an answer that is
    /// too old or to another question, and the account of the memory is right.
    #[test]
    fn the_cache_keeps_its_promises(
        steps in vec((0..30u8, 1..20usize, 1..50u32, 0..20u64, any::<bool>()), 1..120),
        places in 2..24usize,
    ) {
        let capacity = places * (OVERHEAD + 100);
        let (cache, mut now) = (Cache::new(capacity), Instant::now());
        let mut last = HashMap::new();
        for (number, records, ttl, pause, write) in steps {
            now += seconds(pause);
            let text = format!("n{number}.example.org A");
            if write {
                let records: Vec<Record> = (0..records).map(|_| a(&format!("n{number}.example.org."), ttl, [192, 0, 2, number])).collect();
                put(&cache, &text, &message(ResponseCode::NoError, &records, &[]), now);
                last.insert(number, (now, ttl));
            } else if let Some(reply) = get(&cache, &text, now) {
                let (since, ttl) = last[&number];
                let age = u32::try_from((now - since).as_secs()).unwrap();
                prop_assert!(age < ttl);
                prop_assert_eq!(&lines(&reply.answers)[0], &format!("n{number}.example.org. {} A 192.0.2.{number}", ttl - age));
            }
            prop_assert!(cache.bytes() <= capacity);
            let generations = cache.lock();
            for generation in [&generations.young, &generations.old] {
                prop_assert_eq!(generation.bytes, generation.kept.iter().map(|(question, kept)| bytes(question, kept)).sum::<usize>());
            }
        }
    }
}
