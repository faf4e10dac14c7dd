//! Answers of other name servers, for as long as they said.
//!
//! In: questions and the packets that answered them. Out: replies whose TTLs have run down
//! meanwhile, with owner names in the case of the new question. Bounded in bytes, because whoever
//! asks decides how large the answers are: packets are kept as they came, in two generations, and
//! when the young one is full the old one goes; what was asked for lately has moved to the young
//! one. Time is a parameter. Never keeps a failure, or a denial without SOA (RFC 2308).

use std::{
    collections::HashMap,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use hickory_proto::{
    op::{Message, Query, ResponseCode},
    rr::{LowerName, RData, Record, RecordType},
};

use crate::reply::Reply;

/// The longest that an answer is kept, as in CoreDNS.
const MAX_TTL: Duration = Duration::from_secs(3600);
/// The longest that a denial is kept, as in CoreDNS.
const MAX_DENIAL_TTL: Duration = Duration::from_secs(1800);
/// What a reply takes beside its packet, in bytes: its place in a map that is half full, and its
/// allocation.
const OVERHEAD: usize = 2 * size_of::<(Question, Arc<Kept>)>() + size_of::<Kept>();

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
    /// How many bytes a generation holds.
    capacity: usize,
    generations: Mutex<Generations>,
}

#[derive(Debug, Default)]
struct Generations {
    young: Generation,
    old: Generation,
}

#[derive(Debug, Default)]
struct Generation {
    kept: HashMap<Question, Arc<Kept>>,
    bytes: usize,
}

#[derive(Debug)]
struct Kept {
    packet: Box<[u8]>,
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
    /// A cache that takes at most `capacity` bytes.
    pub fn new(capacity: usize) -> Self {
        Self { capacity: capacity / 2, generations: Mutex::default() }
    }

    /// The reply to `question` that is still good at `now`, written for `query`.
    pub fn get(&self, question: &Question, query: &Query, now: Instant) -> Option<Reply> {
        let kept = self.find(question, now)?;
        let age = u32::try_from(now.saturating_duration_since(kept.since).as_secs()).unwrap_or(u32::MAX);
        let mut reply = Reply::from(Message::from_vec(&kept.packet).ok()?);
        let sections = [&mut reply.answers, &mut reply.authority, &mut reply.additional];
        for record in sections.into_iter().flatten() {
            record.ttl = record.ttl.saturating_sub(age);
        }
        reply.spell_as(query.name());
        Some(reply)
    }

    /// Keeps `packet`, which says `reply`, from `now` on, if that may be kept at all.
    pub fn put(&self, question: Question, packet: &[u8], reply: &Reply, now: Instant) {
        let Some(ttl) = lifetime(question.wanted, reply) else { return };
        let kept = Kept { packet: packet.into(), since: now, until: now + ttl };
        self.lock().insert(question, Arc::new(kept), self.capacity);
    }

    /// How many bytes are taken, by replies that are still good or not.
    #[cfg(test)]
    fn bytes(&self) -> usize {
        let generations = self.lock();
        generations.young.bytes + generations.old.bytes
    }

    fn find(&self, question: &Question, now: Instant) -> Option<Arc<Kept>> {
        let mut generations = self.lock();
        if let Some(kept) = generations.young.kept.get(question) {
            return (now < kept.until).then(|| kept.clone());
        }
        let kept = generations.old.remove(question).filter(|kept| now < kept.until)?;
        generations.insert(question.clone(), kept.clone(), self.capacity);
        Some(kept)
    }

    fn lock(&self) -> MutexGuard<'_, Generations> {
        self.generations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Generations {
    fn insert(&mut self, question: Question, kept: Arc<Kept>, capacity: usize) {
        self.old.remove(&question);
        self.young.remove(&question);
        let bytes = bytes(&question, &kept);
        if bytes > capacity {
            return;
        }
        if self.young.bytes + bytes > capacity {
            self.old = mem::take(&mut self.young);
        }
        self.young.bytes += bytes;
        self.young.kept.insert(question, kept);
    }
}

impl Generation {
    fn remove(&mut self, question: &Question) -> Option<Arc<Kept>> {
        let kept = self.kept.remove(question)?;
        self.bytes -= bytes(question, &kept);
        Some(kept)
    }
}

fn bytes(question: &Question, kept: &Kept) -> usize {
    OVERHEAD + question.name.len() + kept.packet.len()
}

/// How long a reply may be kept; not at all if there is no time given in it.
fn lifetime(wanted: RecordType, reply: &Reply) -> Option<Duration> {
    let answered = |record: &Record| wanted == RecordType::ANY || record.record_type() == wanted;
    let denied = match reply.code {
        ResponseCode::NXDomain => true,
        // A chain of CNAMEs with nothing at its end denies what was asked for (RFC 2308 2.2).
        ResponseCode::NoError => !reply.answers.iter().any(answered),
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
