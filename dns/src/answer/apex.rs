//! The names that every zone has: SOA, NS, the schema version, and this server's own name.

use std::{collections::BTreeSet, net::IpAddr};

use hickory_proto::rr::{Name, RData, Record, RecordType, rdata};

use super::{Found, address_record_of, record, ttl, under};
use crate::{
    reply::address_record,
    zone::{Entry, Zone, entry::Body},
};

/// The version of the schema that the names follow, and its TTL in seconds (specification 2.2).
const SCHEMA: (&str, u32) = ("1.1.0", 28_800);
/// The longest TTL of an SOA record, in seconds, as in CoreDNS.
const MAX_SOA_TTL: u32 = 300;
/// Refresh, retry and expire of the SOA in seconds, as in CoreDNS.
const SOA_TIMES: (i32, i32, i32) = (7200, 1800, 86_400);

/// The SOA record of the zone whose apex is `apex`.
pub(super) fn soa(zone: &Zone, apex: &Name) -> Record {
    let settings = zone.settings();
    let (refresh, retry, expire) = SOA_TIMES;
    let (server, hostmaster) = (settings.name_server.clone(), settings.hostmaster.clone());
    let data = rdata::SOA::new(server, hostmaster, zone.serial(), refresh, retry, expire, ttl(zone));
    Record::from_rdata(apex.clone(), ttl(zone).min(MAX_SOA_TTL), RData::SOA(data))
}

/// What the cluster domain itself, or the apex of a reverse zone, has.
pub(super) fn at_apex(zone: &Zone, name: &Name, wanted: RecordType) -> Found {
    match wanted {
        RecordType::SOA => Found::records(vec![soa(zone, name)]),
        RecordType::NS => name_servers(zone, name),
        _ => Found::NoData,
    }
}

/// What `dns-version` has.
pub(super) fn version(name: &Name, wanted: RecordType) -> Found {
    let (version, ttl) = SCHEMA;
    if wanted != RecordType::TXT {
        return Found::NoData;
    }
    let text = RData::TXT(rdata::TXT::new(vec![version.to_owned()]));
    Found::records(vec![Record::from_rdata(name.clone(), ttl, text)])
}

/// What `ns.dns` has: the addresses at which this server can be asked.
pub(super) fn at_name_server(zone: &Zone, name: &Name, wanted: RecordType) -> Found {
    let mut addresses: BTreeSet<IpAddr> = zone.name_servers().flat_map(|(_, entry)| reached_at(zone, entry)).collect();
    if addresses.is_empty() {
        addresses.extend(&zone.settings().own_addresses);
    }
    addresses.retain(|address| address_record_of(wanted, *address));
    Found::records(addresses.into_iter().map(|address| address_record(name, ttl(zone), address)).collect())
}

/// The services in front of this server, else its own name, with their addresses.
fn name_servers(zone: &Zone, owner: &Name) -> Found {
    let settings = zone.settings();
    let mut servers: Vec<(Name, Vec<IpAddr>)> = zone
        .name_servers()
        .filter_map(|(key, entry)| Some((under(&format!("{key}.svc"), &settings.domain)?, reached_at(zone, entry))))
        .collect();
    if servers.is_empty() {
        servers.push((settings.name_server.clone(), settings.own_addresses.clone()));
    }
    let mut answers = Vec::new();
    let mut additional = Vec::new();
    for (name, addresses) in servers {
        additional.extend(addresses.into_iter().map(|address| address_record(&name, ttl(zone), address)));
        answers.push(record(owner, zone, RData::NS(rdata::NS(name))));
    }
    Found::Records { answers, additional }
}

/// Where a service in front of this server is reached.
fn reached_at(zone: &Zone, entry: &Entry) -> Vec<IpAddr> {
    match entry.body() {
        Body::ClusterIp { addresses, .. } => addresses.to_vec(),
        _ => zone.settings().own_addresses.iter().copied().filter(|own| entry.serves(*own)).collect(),
    }
}
