//! The link of one pod: a pair of interfaces, and what each side knows.
//!
//! The pod has one address and no neighbours but the node: its default route leads to a link-local address that nobody
//! has, behind the Ethernet address of the node's end. The node has a route to the pod's address alone. Both sides are
//! told each other's Ethernet addresses, so that nobody ever has to ask. Every step may be done again.

use std::net::Ipv4Addr;

use super::{
    Error, Result,
    cidr::Cidr,
    names,
    namespace::Namespace,
    netlink::{Netlink, Pair, Way},
    sysctl,
};

/// The pod's end, in the pod.
const INSIDE: &str = "eth0";
/// Where the pod's default route leads. The kernel at the other end takes whatever comes.
const NEXT_HOP: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 1);

/// A link to make or to mend.
#[derive(Clone, Debug)]
pub(super) struct PodLink {
    /// The pod, for people who look at links.
    pub(super) uid: String,
    /// The node's end.
    pub(super) name: String,
    /// The pod's address.
    pub(super) address: Ipv4Addr,
    /// The address that the node itself speaks from.
    pub(super) gateway: Ipv4Addr,
    /// Range of Services.
    pub(super) services: Cidr,
    /// Longest packet, for a new link.
    pub(super) mtu: u32,
}

impl PodLink {
    /// Makes the link, or mends it, and returns the index of the node's end.
    ///
    /// A link of that name into another namespace is that of an earlier sandbox, and goes.
    pub(super) async fn ensure(&self, netlink: &Netlink, namespace: &Namespace) -> Result<u32> {
        let index = match self.present(netlink, namespace).await? {
            Some(index) => index,
            None => self.make(netlink, namespace).await?,
        };
        self.ensure_inside(namespace).await?;
        self.ensure_here(netlink, index).await?;
        Ok(index)
    }

    async fn present(&self, netlink: &Netlink, namespace: &Namespace) -> Result<Option<u32>> {
        let Some(link) = netlink.link(&self.name).await? else { return Ok(None) };
        let inside = namespace.run(async |netlink: &Netlink| netlink.link(INSIDE).await).await?;
        let is_pair = inside.is_some_and(|far| far.peer == Some(link.index) && link.peer == Some(far.index));
        let has_address = netlink.routes().await?.iter().any(|route| {
            route.to == Cidr::host(self.address) && matches!(route.way, Way::Link { index, .. } if index == link.index)
        });
        if is_pair && has_address {
            return Ok(Some(link.index));
        }
        netlink.delete_link(link.index).await?;
        Ok(None)
    }

    async fn make(&self, netlink: &Netlink, namespace: &Namespace) -> Result<u32> {
        let pair = Pair {
            here: (&self.name, names::host_mac(&self.name)),
            there: (INSIDE, names::pod_mac(&self.name)),
            namespace: namespace.descriptor(),
            mtu: self.mtu,
        };
        netlink.add_pair(&pair).await?;
        let made = netlink.link(&self.name).await?;
        made.map(|link| link.index).ok_or_else(|| Error::Lost { link: self.name.clone() })
    }

    async fn ensure_inside(&self, namespace: &Namespace) -> Result<()> {
        let (address, services, node) = (self.address, self.services, names::host_mac(&self.name));
        let lost = Error::Lost { link: self.name.clone() };
        let act = async move |netlink: &Netlink| {
            let loopback = netlink.link("lo").await?;
            if let Some(loopback) = loopback {
                netlink.set_up(loopback.index, None).await?;
            }
            let link = netlink.link(INSIDE).await?.ok_or(lost)?;
            // Services and pods are IPv4 here; a link-local address would only make noise.
            sysctl::write_if_there(&format!("ipv6/conf/{INSIDE}/disable_ipv6"), "1")?;
            netlink.set_up(link.index, None).await?;
            netlink.put_address(link.index, address).await?;
            netlink.put_neighbour(link.index, NEXT_HOP, node).await?;
            let way = |gateway| Way::Link { index: link.index, gateway, source: None };
            netlink.put_route(Cidr::host(NEXT_HOP), way(None)).await?;
            // What no Service has would be unreachable at the node, too, but a client would hear of it late: the node's
            // answer comes while its call is still at work, and further ones are rationed.
            netlink.put_route(services, Way::Unreachable).await?;
            netlink.put_route(Cidr::new(Ipv4Addr::UNSPECIFIED, 0), way(Some(NEXT_HOP))).await
        };
        namespace.run(act).await
    }

    async fn ensure_here(&self, netlink: &Netlink, index: u32) -> Result<()> {
        let name = &self.name;
        sysctl::write_if_there(&format!("ipv6/conf/{name}/disable_ipv6"), "1")?;
        sysctl::write(&format!("ipv4/conf/{name}/forwarding"), "1")?;
        // Only the pod's own address may come out of the pod: the program sees to that for what goes past the stack,
        // and this for the rest. If the machine's setting is larger it counts instead; that one, the loose check, is as
        // strict on a link without an address.
        sysctl::write(&format!("ipv4/conf/{name}/rp_filter"), "1")?;
        netlink.set_up(index, Some(&self.uid)).await?;
        netlink.put_neighbour(index, self.address, names::pod_mac(name)).await?;
        let way = Way::Link { index, gateway: None, source: Some(self.gateway) };
        netlink.put_route(Cidr::host(self.address), way).await
    }
}
