//! EndpointSlices: the ready endpoints of one Service, by the name of the port.
//!
//! A slice gives the numbers: `targetPort` was resolved by whoever wrote it, per group of pods.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

use k8s_openapi::api::discovery::v1::{Endpoint, EndpointPort, EndpointSlice};
use nodeplane_api::meta::Key;

use super::{Backend, Protocol, Rejected, port, protocol};

/// Ready endpoints; each once, whatever number of slices name it.
#[derive(Default)]
pub(super) struct Endpoints {
    by_port: BTreeMap<(String, Protocol), Answering>,
}

/// Who answers, and on which node.
type Answering = BTreeSet<(Backend, Option<String>)>;

impl Endpoints {
    /// Adds a slice, or the reason why it cannot be added. Slices of other address families are none of our business.
    pub(super) fn add(&mut self, slice: &EndpointSlice, rejected: &mut Vec<Rejected>) {
        if slice.address_type != "IPv4" {
            return;
        }
        match read(slice) {
            Ok((ports, places)) => self.merge(&ports, &places),
            Err(reason) => rejected.push(Rejected { kind: "EndpointSlice", key: Key::of(slice).into(), reason }),
        }
    }

    fn merge(&mut self, ports: &[Port], places: &[Place]) {
        for Port { name, protocol, number } in ports {
            let answering = self.by_port.entry((name.clone(), *protocol)).or_default();
            answering.extend(
                places.iter().map(|place| (Backend { addr: place.addr.into(), port: *number }, place.node.clone())),
            );
        }
    }

    /// Who answers for one port, on `only_node` if that is given; sorted.
    pub(super) fn of(&self, port_name: &str, protocol: Protocol, only_node: Option<&str>) -> Vec<Backend> {
        let answering = self.by_port.get(&(port_name.to_owned(), protocol));
        let here = |node: &Option<String>| only_node.is_none_or(|only| node.as_deref() == Some(only));
        let mut backends: Vec<Backend> =
            answering.into_iter().flatten().filter(|(_, node)| here(node)).map(|(backend, _)| *backend).collect();
        // The set is sorted by backend first; two slices may disagree about its node.
        backends.dedup();
        backends
    }
}

struct Port {
    name: String,
    protocol: Protocol,
    number: u16,
}

struct Place {
    addr: Ipv4Addr,
    node: Option<String>,
}

fn read(slice: &EndpointSlice) -> Result<(Vec<Port>, Vec<Place>), String> {
    let ports = slice.ports.iter().flatten().filter_map(|port| read_port(port).transpose());
    let places = slice.endpoints.iter().filter(|endpoint| is_ready(endpoint)).map(read_place);
    Ok((ports.collect::<Result<_, _>>()?, places.collect::<Result<_, _>>()?))
}

/// A port without a number stands for all ports, which a Service never means. A protocol that is
/// not ours belongs to a port that its Service rejects.
fn read_port(slice_port: &EndpointPort) -> Result<Option<Port>, String> {
    let (Some(number), Ok(protocol)) = (slice_port.port, protocol(slice_port.protocol.as_deref())) else {
        return Ok(None);
    };
    Ok(Some(Port { name: slice_port.name.clone().unwrap_or_default(), protocol, number: port(number)? }))
}

/// Unknown is ready, says the API. `publishNotReadyAddresses` is already in the condition.
fn is_ready(endpoint: &Endpoint) -> bool {
    endpoint.conditions.as_ref().and_then(|conditions| conditions.ready).unwrap_or(true)
}

/// The addresses of one endpoint are interchangeable: the first is as good as any.
fn read_place(endpoint: &Endpoint) -> Result<Place, String> {
    let text = endpoint.addresses.first().ok_or("an endpoint has no address")?;
    let addr: Ipv4Addr = text.parse().map_err(|_| format!("{text:?} is not an IPv4 address"))?;
    if addr.is_unspecified() || addr.is_multicast() || addr.is_broadcast() {
        return Err(format!("{addr} cannot be an endpoint's address"));
    }
    Ok(Place { addr, node: endpoint.node_name.clone() })
}
