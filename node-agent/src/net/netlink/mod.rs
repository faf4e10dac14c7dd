//! Links, addresses, routes and neighbours of one network namespace: the few sentences of rtnetlink that are needed.
//!
//! The namespace is that of the thread which calls [`Netlink::open`], for good. Whatever is put there may be put there
//! again; whatever is deleted may be gone already.

mod messages;

use std::{io, net::Ipv4Addr};

use futures::TryStreamExt as _;
use rtnetlink::{
    AddressMessageBuilder, Handle, LinkMessageBuilder, LinkUnspec, LinkVeth, RouteMessageBuilder,
    packet_route::{
        address::{AddressAttribute, AddressMessage, AddressScope},
        link::{InfoData, InfoVeth},
        route::RouteMessage,
    },
};
use tokio::task::JoinHandle;

use self::messages::{has_label, local_address, read_link, read_route, route_message, way};
use super::{Error, Result, cidr::Cidr};

/// A connection to the kernel. Requests may be made at the same time.
pub struct Netlink {
    handle: Handle,
    connection: JoinHandle<()>,
}

/// A link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Index.
    pub index: u32,
    /// Name.
    pub name: String,
    /// The index of the other end, in its own namespace.
    pub peer: Option<u32>,
    /// Longest packet.
    pub mtu: u32,
}

/// A pair of links to make: one here, one in another namespace.
#[derive(Clone, Debug)]
pub struct Pair<'a> {
    /// Name and Ethernet address of the link here.
    pub here: (&'a str, [u8; 6]),
    /// Name and Ethernet address of the link there.
    pub there: (&'a str, [u8; 6]),
    /// The other namespace, as a file descriptor.
    pub namespace: i32,
    /// Longest packet.
    pub mtu: u32,
}

/// An IPv4 route of the main table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Where to.
    pub to: Cidr,
    /// What happens.
    pub way: Way,
    /// Whether this agent or an earlier one made it.
    pub is_ours: bool,
}

/// What a route does with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The sender is told that it cannot be delivered.
    Unreachable,
    /// It leaves by a link, straight or to a gateway.
    Link {
        /// Which link.
        index: u32,
        /// Who takes it on.
        gateway: Option<Ipv4Addr>,
        /// The address that senders on this machine get.
        source: Option<Ipv4Addr>,
    },
    /// Anything else; never made here.
    Other,
}

/// Where packets to the outside leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uplink {
    /// The address that they leave with.
    pub source: Ipv4Addr,
    /// Longest packet.
    pub mtu: u32,
}

impl Netlink {
    /// Connects to the kernel, for the calling thread's namespace. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// There is no socket to be had.
    pub fn open() -> Result<Self> {
        let (connection, handle, _) = rtnetlink::new_connection()
            .map_err(|source| Error::Netlink { what: "opening a netlink socket".into(), source })?;
        Ok(Self { handle, connection: tokio::spawn(connection) })
    }

    /// All links.
    ///
    /// # Errors
    /// The kernel's.
    pub async fn links(&self) -> Result<Vec<Link>> {
        let all = self.handle.link().get().execute().map_ok(read_link).try_collect().await;
        all.map_err(|error| failed("listing links", error))
    }

    /// The link of this name, if there is one.
    ///
    /// # Errors
    /// The kernel's.
    pub async fn link(&self, name: &str) -> Result<Option<Link>> {
        match self.handle.link().get().match_name(name).execute().try_next().await {
            Ok(found) => Ok(found.map(read_link)),
            Err(error) if is(&error, libc::ENODEV) => Ok(None),
            Err(error) => Err(failed(format!("looking for link {name}"), error)),
        }
    }

    /// Makes a pair of links. The far one appears in its namespace, never here.
    ///
    /// # Errors
    /// The kernel's: a name is taken, or the namespace is gone.
    pub async fn add_pair(&self, pair: &Pair<'_>) -> Result<()> {
        let Pair { here: (name, mac), there: (far_name, far_mac), namespace, mtu } = *pair;
        let far = LinkMessageBuilder::<LinkUnspec>::new()
            .name(far_name)
            .address(far_mac.to_vec())
            .mtu(mtu)
            .setns_by_fd(namespace)
            .build();
        let near = LinkVeth::new(name, far_name)
            .set_info_data(InfoData::Veth(InfoVeth::Peer(far)))
            .address(mac.to_vec())
            .mtu(mtu)
            .build();
        self.handle.link().add(near).execute().await.map_err(|error| failed(format!("making link {name}"), error))
    }

    /// Sets a link up, and gives it a second name for people if one is given.
    ///
    /// # Errors
    /// The kernel's.
    pub async fn set_up(&self, index: u32, alias: Option<&str>) -> Result<()> {
        let mut message = LinkUnspec::new_with_index(index).up();
        if let Some(alias) = alias {
            message = message.alias(alias);
        }
        let done = self.handle.link().set(message.build()).execute().await;
        done.map_err(|error| failed(format!("setting link {index} up"), error))
    }

    /// Deletes a link; its addresses, routes and neighbours go with it.
    ///
    /// # Errors
    /// The kernel's.
    pub async fn delete_link(&self, index: u32) -> Result<()> {
        let done = self.handle.link().del(index).execute().await;
        unless(done, libc::ENODEV).map_err(|error| failed(format!("deleting link {index}"), error))
    }

    /// Gives a link an address, without a route for a range around it.
    ///
    /// # Errors
    /// The kernel's.
    pub async fn put_address(&self, index: u32, address: Ipv4Addr) -> Result<()> {
        let request = self.handle.address().add(index, address.into(), 32).replace();
        request.execute().await.map_err(|error| failed(format!("giving link {index} address {address}"), error))
    }

    /// Gives a link an address that nobody outside of this machine has business with, under a label that tells whose
    /// it is.
    ///
    /// # Errors
    /// The kernel's.
    pub async fn put_host_address(&self, index: u32, address: Ipv4Addr, label: &str) -> Result<()> {
        let mut request = self.handle.address().add(index, address.into(), 32).replace();
        let message = request.message_mut();
        message.header.scope = AddressScope::Host;
        message.attributes.push(AddressAttribute::Label(label.to_owned()));
        request.execute().await.map_err(|error| failed(format!("giving link {index} address {address}"), error))
    }

    /// The addresses under a label.
    ///
    /// # Errors
    /// The kernel's.
    pub async fn labelled_addresses(&self, label: &str) -> Result<Vec<Ipv4Addr>> {
        let all: Vec<AddressMessage> = self
            .handle
            .address()
            .get()
            .execute()
            .try_collect()
            .await
            .map_err(|error| failed("listing addresses", error))?;
        let ours = all.iter().filter(|message| has_label(message, label));
        Ok(ours.filter_map(local_address).collect())
    }

    /// Takes an address off a link.
    ///
    /// # Errors
    /// The kernel's.
    pub async fn delete_address(&self, index: u32, address: Ipv4Addr) -> Result<()> {
        let message = AddressMessageBuilder::<Ipv4Addr>::new().index(index).address(address, 32).build();
        let done = self.handle.address().del(message).execute().await;
        unless(done, libc::EADDRNOTAVAIL)
            .map_err(|error| failed(format!("taking address {address} off link {index}"), error))
    }

    /// Tells a link who has an address on the other side, for good: nobody asks.
    ///
    /// # Errors
    /// The kernel's.
    pub async fn put_neighbour(&self, index: u32, address: Ipv4Addr, mac: [u8; 6]) -> Result<()> {
        let request = self.handle.neighbours().add(index, address.into()).link_layer_address(&mac).replace();
        request.execute().await.map_err(|error| failed(format!("telling link {index} who has {address}"), error))
    }

    /// Makes a route, in the place of one to the same range.
    ///
    /// # Errors
    /// The kernel's.
    pub async fn put_route(&self, to: Cidr, way: Way) -> Result<()> {
        let request = self.handle.route().add(route_message(to, way)).replace();
        request.execute().await.map_err(|error| failed(format!("making the route to {to}"), error))
    }

    /// Removes a route that [`Self::put_route`] made.
    ///
    /// # Errors
    /// The kernel's.
    pub async fn delete_route(&self, to: Cidr, way: Way) -> Result<()> {
        let done = self.handle.route().del(route_message(to, way)).execute().await;
        unless(done, libc::ESRCH).map_err(|error| failed(format!("removing the route to {to}"), error))
    }

    /// The IPv4 routes of the main table.
    ///
    /// # Errors
    /// The kernel's.
    pub async fn routes(&self) -> Result<Vec<Route>> {
        let all = self.handle.route().get(RouteMessageBuilder::<Ipv4Addr>::new().build()).execute();
        let all: Vec<RouteMessage> = all.try_collect().await.map_err(|error| failed("listing routes", error))?;
        Ok(all.iter().filter_map(read_route).collect())
    }

    /// Where packets to the outside leave, if they do. Asks the routes only.
    ///
    /// # Errors
    /// The kernel's.
    pub async fn uplink(&self) -> Result<Option<Uplink>> {
        // An address for documentation (RFC 5737): only a default route leads there.
        let question = RouteMessageBuilder::<Ipv4Addr>::new().destination_prefix(Ipv4Addr::new(192, 0, 2, 1), 32);
        let answer = match self.handle.route().get(question.build()).execute().try_next().await {
            Ok(Some(answer)) => answer,
            Ok(None) => return Ok(None),
            Err(error) if is(&error, libc::ENETUNREACH) || is(&error, libc::EHOSTUNREACH) => return Ok(None),
            Err(error) => return Err(failed("asking for the default route", error)),
        };
        let Way::Link { index, source: Some(source), .. } = way(&answer) else { return Ok(None) };
        let mtu = self.links().await?.iter().find(|link| link.index == index).map(|link| link.mtu);
        Ok(mtu.map(|mtu| Uplink { source, mtu }))
    }
}

impl Drop for Netlink {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

fn unless(done: std::result::Result<(), rtnetlink::Error>, errno: i32) -> std::result::Result<(), rtnetlink::Error> {
    match done {
        Err(error) if is(&error, errno) => Ok(()),
        other => other,
    }
}

fn is(error: &rtnetlink::Error, errno: i32) -> bool {
    matches!(error, rtnetlink::Error::NetlinkError(message) if message.to_io().raw_os_error() == Some(errno))
}

fn failed(what: impl Into<String>, error: rtnetlink::Error) -> Error {
    let source = match error {
        rtnetlink::Error::NetlinkError(message) => message.to_io(),
        other => io::Error::other(other),
    };
    Error::Netlink { what: what.into(), source }
}
