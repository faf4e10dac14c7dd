//! Answers of other name servers, for as long as they said.
//!
//! In: questions and the replies to them. Out: replies whose TTLs have run down meanwhile, with
//! owner names in the case of the new question. Bounded: two generations, and when the young one
//! is full the old one goes; what was asked for lately has moved to the young one. Time is a
//! parameter. Never keeps a truncated answer, a failure, or a denial without SOA (RFC 2308).

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use hickory_proto::{
    op::{Query, ResponseCode},
    rr::{LowerName, RData, Record, RecordType},
};

use crate::reply::Reply;

/// The longest that an answer is kept, as in CoreDNS.
const MAX_TTL: Duration = Duration::from_secs(3600);
/// The longest that a denial is kept, as in CoreDNS.
const MAX_DENIAL_TTL: Duration = Duration::from_secs(1800);

/// A question as far as it decides the answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Question {
    name: LowerName,
    wanted: RecordType,
    dnssec_ok: bool,
    checking_disabled: bool,
}

/// A bounded cache of replies.
#[derive(Debug)]
pub struct Cache {
    /// How many replies a generation holds.
    capacity: usize,
    generations: Mutex<Generations>,
}

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<Question, Arc<Kept>>,
    old: HashMap<Question, Arc<Kept>>,
}

#[derive(Debug)]
struct Kept {
    reply: Reply,
    since: Instant,
    until: Instant,
}

impl Question {
    /// The question of a query with the DO and CD bits.
    pub fn new(query: &Query, dnssec_ok: bool, checking_disabled: bool) -> Self {
        Self { name: LowerName::new(query.name()), wanted: query.query_type(), dnssec_ok, checking_disabled }
    }
}

impl Cache {
    /// A cache of at most `capacity` replies.
    pub fn new(capacity: usize) -> Self {
        Self { capacity: capacity.div_ceil(2).max(1), generations: Mutex::default() }
    }

    /// The reply to `question` that is still good at `now`, written for `query`.
    pub fn get(&self, question: &Question, query: &Query, now: Instant) -> Option<Reply> {
        let kept = self.find(question, now)?;
        let age = u32::try_from(now.saturating_duration_since(kept.since).as_secs()).unwrap_or(u32::MAX);
        let mut reply = kept.reply.clone();
        let sections = [&mut reply.answers, &mut reply.authority, &mut reply.additional];
        for record in sections.into_iter().flatten() {
            record.ttl = record.ttl.saturating_sub(age);
            if record.name == *query.name() {
                record.name = query.name().clone();
            }
        }
        Some(reply)
    }

    /// Keeps a reply from `now` on, if it may be kept at all.
    pub fn put(&self, question: Question, reply: &Reply, now: Instant) {
        let Some(ttl) = lifetime(reply) else { return };
        let kept = Arc::new(Kept { reply: reply.clone(), since: now, until: now + ttl });
        self.lock().insert(question, kept, self.capacity);
    }

    /// How many replies are held, whether still good or not.
    pub fn len(&self) -> usize {
        let generations = self.lock();
        generations.young.len() + generations.old.len()
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn find(&self, question: &Question, now: Instant) -> Option<Arc<Kept>> {
        let mut generations = self.lock();
        if let Some(kept) = generations.young.get(question) {
            return (now < kept.until).then(|| kept.clone());
        }
        let kept = generations.old.remove(question).filter(|kept| now < kept.until)?;
        generations.insert(question.clone(), kept.clone(), self.capacity);
        Some(kept)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Generations> {
        self.generations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Generations {
    fn insert(&mut self, question: Question, kept: Arc<Kept>, capacity: usize) {
        if self.young.len() >= capacity && !self.young.contains_key(&question) {
            self.old = std::mem::take(&mut self.young);
        }
        self.old.remove(&question);
        self.young.insert(question, kept);
    }
}

/// How long a reply may be kept; not at all if there is no time given in it.
fn lifetime(reply: &Reply) -> Option<Duration> {
    let denied = match reply.code {
        ResponseCode::NXDomain => true,
        ResponseCode::NoError => reply.answers.is_empty(),
        _ => return None,
    };
    let records = || reply.answers.iter().chain(&reply.authority).chain(&reply.additional);
    let shortest = records().map(|record| record.ttl).min()?;
    let (shortest, limit) = if denied {
        (shortest.min(reply.authority.iter().find_map(denial_ttl)?), MAX_DENIAL_TTL)
    } else {
        (shortest, MAX_TTL)
    };
    (shortest > 0).then(|| Duration::from_secs(shortest.into()).min(limit))
}

/// How long the SOA lets a denial live (RFC 2308 5).
fn denial_ttl(record: &Record) -> Option<u32> {
    match &record.data {
        RData::SOA(soa) => Some(soa.minimum.min(record.ttl)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
