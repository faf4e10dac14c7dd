//! The answer to a question: a pure function of the zone and the question.
//!
//! In: a [`Zone`] and a [`Query`]. Out: a [`Verdict`] with addresses in a stable order; whoever
//! sends it shuffles them. Owner names are in the case of the question. Never does I/O, never
//! forwards by itself: a name that is not the cluster's comes back as [`Verdict::Forward`], a
//! chain of CNAMEs that leaves the cluster with its next name in [`Verdict::Reply`].
//!
//! Behaviour: Kubernetes DNS specification 1.1, and CoreDNS where that is silent, except that an
//! empty non-terminal (`_tcp.service...`) is no error here (RFC 8020), an ExternalName is an
//! alias for every type (RFC 1034 3.6.2), and ANY gets one small record (RFC 8482).

mod apex;
mod place;
mod reverse;
mod service;

use hickory_proto::{
    op::{Query, ResponseCode},
    rr::{Name, RData, Record, RecordType, rdata},
};

use self::place::Place;
use crate::{
    config::PodNames,
    reply::{Reply, address_record},
    zone::{AddressName, Zone, entry, range},
};

/// How many CNAMEs of the cluster are followed for one question.
const MAX_CHAIN: usize = 10;
/// What HINFO says in place of everything that a name has (RFC 8482 4.2).
const NOT_EVERYTHING: &str = "RFC8482";

/// What to do with a question.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Send this.
    Reply {
        /// The answer.
        reply: Reply,
        /// The alias at the end of the answer leads out of the cluster: its answer, for the same
        /// type, is to be appended.
        chase: Option<Name>,
    },
    /// The name is not the cluster's.
    Forward,
}

/// What one name has for one type.
#[derive(Clone, Debug, PartialEq)]
enum Found {
    /// These records.
    Records { answers: Vec<Record>, additional: Vec<Record> },
    /// It is another name for this one.
    Alias(Name),
    /// It exists, with other types or none.
    NoData,
    /// It does not exist.
    NoName,
}

/// What was found, and in which zone.
struct Lookup {
    found: Found,
    apex: Apex,
}

/// The zone that has an answer.
enum Apex {
    /// The cluster domain.
    Domain,
    /// The reverse zone of this name.
    Reverse(Name),
}

impl Found {
    /// These records, or no data when there are none.
    fn records(answers: Vec<Record>) -> Self {
        if answers.is_empty() { Self::NoData } else { Self::Records { answers, additional: Vec::new() } }
    }

    /// That the name exists, or not.
    fn existing(exists: bool) -> Self {
        if exists { Self::NoData } else { Self::NoName }
    }
}

/// Answers a question of class IN.
pub fn answer(zone: &Zone, query: &Query) -> Verdict {
    let wanted = query.query_type();
    let mut reply = Reply { authoritative: true, ..Reply::failure(ResponseCode::NoError) };
    let mut name = query.name().clone();
    name.set_fqdn(true);
    for step in 0..=MAX_CHAIN {
        let Some(Lookup { found, apex }) = lookup(zone, &name, wanted) else {
            return if step == 0 { Verdict::Forward } else { Verdict::Reply { reply, chase: Some(name) } };
        };
        let Found::Alias(target) = found else {
            conclude(&mut reply, zone, &name, wanted, found, &apex);
            break;
        };
        let looped = target == name || reply.answers.iter().any(|record| record.name == target);
        reply.answers.push(record(&name, zone, RData::CNAME(rdata::CNAME(target.clone()))));
        // A client that asks for the alias itself does not want what is behind it.
        if looped || wanted == RecordType::CNAME || wanted == RecordType::ANY {
            break;
        }
        name = target;
    }
    Verdict::Reply { reply, chase: None }
}

/// Adds what the last name of a chain has.
fn conclude(reply: &mut Reply, zone: &Zone, name: &Name, wanted: RecordType, found: Found, apex: &Apex) {
    match found {
        Found::Records { answers, additional } => {
            reply.answers.extend(answers);
            reply.additional = additional;
        }
        Found::NoData if wanted == RecordType::ANY => {
            let data = rdata::HINFO::new(NOT_EVERYTHING.to_owned(), String::new());
            reply.answers.push(record(name, zone, RData::HINFO(data)));
        }
        // An alias goes on and does not end here.
        Found::NoData | Found::Alias(_) => deny(reply, zone, apex, ResponseCode::NoError),
        // As long as not every object has been seen, nothing is known to be missing.
        Found::NoName if zone.is_synced() => deny(reply, zone, apex, ResponseCode::NXDomain),
        Found::NoName => deny(reply, zone, apex, ResponseCode::ServFail),
    }
}

/// Makes the reply a negative one, with the SOA that says for how long (RFC 2308).
fn deny(reply: &mut Reply, zone: &Zone, apex: &Apex, code: ResponseCode) {
    reply.code = code;
    reply.authority.push(apex::soa(
        zone,
        match apex {
            Apex::Domain => &zone.settings().domain,
            Apex::Reverse(apex) => apex,
        },
    ));
}

fn lookup(zone: &Zone, name: &Name, wanted: RecordType) -> Option<Lookup> {
    let labels: Vec<&[u8]> = name.iter().collect();
    let domain = &zone.settings().domain;
    if !domain.zone_of(name) {
        return reverse::lookup(zone, name, &labels, wanted);
    }
    let inner = labels.len() - domain.iter().len();
    let found = in_cluster(zone, name, place::place(&labels[..inner]), wanted);
    Some(Lookup { found, apex: Apex::Domain })
}

fn in_cluster(zone: &Zone, name: &Name, place: Place<'_>, wanted: RecordType) -> Found {
    match place {
        Place::Apex => apex::at_apex(zone, name, wanted),
        Place::Version => apex::version(name, wanted),
        Place::NameServer => apex::at_name_server(zone, name, wanted),
        Place::Branch => Found::NoData,
        Place::Namespace(namespace) => Found::existing(zone.has_namespace(&namespace)),
        Place::PodAddress { label, namespace } => pod_address(zone, name, label, &namespace, wanted),
        Place::Service(key) => service::at_service(zone, name, &key, wanted),
        Place::Endpoint { label, key } => service::at_endpoint(zone, name, &key, label, wanted),
        Place::Protocol { protocol, key } => service::at_protocol(zone, &key, protocol),
        Place::Port { port, protocol, key } => service::at_port(zone, name, &key, &port, protocol, wanted),
        Place::Nowhere => Found::NoName,
    }
}

fn pod_address(zone: &Zone, name: &Name, label: &[u8], namespace: &str, wanted: RecordType) -> Found {
    if zone.settings().pods == PodNames::Disabled || !zone.has_namespace(namespace) {
        return Found::NoName;
    }
    match entry::undashed(label) {
        None => Found::NoName,
        Some(address) if address_record_of(wanted, address) => {
            Found::records(vec![address_record(name, ttl(zone), address)])
        }
        Some(_) => Found::NoData,
    }
}

/// Whether `address` is data of the type that was asked for.
fn address_record_of(wanted: RecordType, address: std::net::IpAddr) -> bool {
    match wanted {
        RecordType::A => address.is_ipv4(),
        RecordType::AAAA => address.is_ipv6(),
        _ => false,
    }
}

fn ttl(zone: &Zone) -> u32 {
    zone.settings().ttl
}

fn record(name: &Name, zone: &Zone, data: RData) -> Record {
    Record::from_rdata(name.clone(), ttl(zone), data)
}

/// `labels` (with or without dots between them) in front of `rest`; nothing when that is too
/// long for a name.
fn under(labels: &str, rest: &Name) -> Option<Name> {
    let labels = labels.split('.').map(str::as_bytes);
    Name::from_labels(labels.chain(rest.iter())).ok()
}

#[cfg(test)]
mod tests;
