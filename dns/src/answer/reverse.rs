//! Names of addresses: PTR for services and endpoints.
//!
//! A name in the reverse zones of the cluster's ranges is answered here whatever it is; a name
//! outside of them only if an object of the cluster gave it to that address.

use hickory_proto::rr::{Name, RData, RecordType, rdata};

use super::{AddressName, Apex, Found, Lookup, Zone, apex, range, record, under};
use crate::zone::range::{ReverseName, Spells};

pub(super) fn lookup(zone: &Zone, name: &Name, labels: &[&[u8]], wanted: RecordType) -> Option<Lookup> {
    let ReverseName { spells, apex } = range::reverse_name(labels, &zone.settings().reverse_zones)?;
    let names = match spells {
        Spells::Address(address) => zone.names_of(address),
        Spells::Prefix | Spells::Nonsense => &[],
    };
    if apex.is_none() && (names.is_empty() || wanted != RecordType::PTR) {
        return None;
    }
    let depth = apex.unwrap_or(labels.len());
    let found = match spells {
        _ if depth == labels.len() && wanted != RecordType::PTR => apex::at_apex(zone, name, wanted),
        Spells::Address(_) if names.is_empty() => Found::NoName,
        Spells::Address(_) if wanted == RecordType::PTR => pointers(zone, name, names),
        Spells::Address(_) => Found::NoData,
        // There may be names below; to deny them all would be wrong (RFC 8020).
        Spells::Prefix => Found::NoData,
        Spells::Nonsense => Found::NoName,
    };
    Some(Lookup { found, apex: Apex::Reverse(name.trim_to(depth)) })
}

/// The service that has the address, else every endpoint that has it (as CoreDNS).
fn pointers(zone: &Zone, name: &Name, names: &[AddressName]) -> Found {
    let domain = &zone.settings().domain;
    let service = names.iter().find_map(|known| match known {
        AddressName::Service(key) => under(&format!("{key}.svc"), domain),
        AddressName::Endpoint(..) => None,
    });
    let endpoints = || {
        names.iter().filter_map(|known| match known {
            AddressName::Endpoint(key, label) => under(&format!("{label}.{key}.svc"), domain),
            AddressName::Service(_) => None,
        })
    };
    let targets: Vec<Name> = service.map_or_else(|| endpoints().collect(), |service| vec![service]);
    Found::records(targets.into_iter().map(|target| record(name, zone, RData::PTR(rdata::PTR(target)))).collect())
}
