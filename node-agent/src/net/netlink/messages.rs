//! Messages of rtnetlink and what they say. Pure.

use std::net::{IpAddr, Ipv4Addr};

use rtnetlink::{
    RouteMessageBuilder,
    packet_route::{
        AddressFamily,
        address::{AddressAttribute, AddressMessage},
        link::{LinkAttribute, LinkMessage},
        route::{RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType},
    },
};

use super::{Link, Route, Way};
use crate::net::cidr::Cidr;

/// The mark of our routes, in the field that says which program made a route. No well-known one has this number.
const PROTOCOL: RouteProtocol = RouteProtocol::Other(78);

pub(super) fn route_message(to: Cidr, way: Way) -> RouteMessage {
    let mut message =
        RouteMessageBuilder::<Ipv4Addr>::new().destination_prefix(to.first(), to.prefix()).protocol(PROTOCOL);
    match way {
        Way::Unreachable | Way::Other => message = message.kind(RouteType::Unreachable),
        Way::Link { index, gateway, source } => {
            message = message.output_interface(index);
            message = match gateway {
                Some(gateway) => message.gateway(gateway),
                None => message.scope(RouteScope::Link),
            };
            if let Some(source) = source {
                message = message.pref_source(source);
            }
        }
    }
    message.build()
}

pub(super) fn read_route(message: &RouteMessage) -> Option<Route> {
    let header = &message.header;
    // Some kernels list the other tables as well.
    let table = message.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Table(table) => Some(*table),
        _ => None,
    });
    let main = u32::from(RouteHeader::RT_TABLE_MAIN);
    if header.address_family != AddressFamily::Inet || table.unwrap_or(header.table.into()) != main {
        return None;
    }
    let to = message.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Destination(RouteAddress::Inet(address)) => Some(*address),
        _ => None,
    });
    let to = Cidr::new(to.unwrap_or(Ipv4Addr::UNSPECIFIED), header.destination_prefix_length);
    Some(Route { to, way: way(message), is_ours: header.protocol == PROTOCOL })
}

pub(super) fn way(message: &RouteMessage) -> Way {
    let (mut index, mut gateway, mut source) = (None, None, None);
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Oif(oif) => index = Some(*oif),
            RouteAttribute::Gateway(RouteAddress::Inet(address)) => gateway = Some(*address),
            RouteAttribute::PrefSource(RouteAddress::Inet(address)) => source = Some(*address),
            _ => {}
        }
    }
    match (message.header.kind, index) {
        (RouteType::Unreachable, _) => Way::Unreachable,
        (RouteType::Unicast, Some(index)) => Way::Link { index, gateway, source },
        _ => Way::Other,
    }
}

pub(super) fn read_link(message: LinkMessage) -> Link {
    let mut link = Link { index: message.header.index, name: String::new(), peer: None, mtu: 0 };
    for attribute in message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name = name,
            LinkAttribute::Link(peer) => link.peer = Some(peer),
            LinkAttribute::Mtu(mtu) => link.mtu = mtu,
            _ => {}
        }
    }
    link
}

pub(super) fn has_label(message: &AddressMessage, wanted: &str) -> bool {
    message.attributes.iter().any(|attribute| matches!(attribute, AddressAttribute::Label(label) if label == wanted))
}

pub(super) fn local_address(message: &AddressMessage) -> Option<Ipv4Addr> {
    message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Local(IpAddr::V4(address)) => Some(*address),
        _ => None,
    })
}
