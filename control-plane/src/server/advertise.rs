//! Where others reach this server.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

/// An address that stands for everything outside (RFC 5737); nothing is ever sent there.
const OUTSIDE: (Ipv4Addr, u16) = (Ipv4Addr::new(192, 0, 2, 1), 9);

/// The address at which nodes and pods reach a server that listens at `listen`; nothing when
/// only its own machine does.
pub(super) fn choose(listen: SocketAddr, told: Option<Ipv4Addr>) -> Option<Ipv4Addr> {
    match (told, listen.ip()) {
        (Some(told), _) => Some(told),
        (None, address) if address.is_loopback() => None,
        (None, address) if address.is_unspecified() => of_default_route(),
        (None, IpAddr::V4(address)) => Some(address),
        (None, IpAddr::V6(_)) => None,
    }
}

/// Where clients reach the server, for documents that tell them.
pub(super) fn reached_at(listen: SocketAddr, advertised: Option<Ipv4Addr>) -> SocketAddr {
    match advertised {
        Some(address) => SocketAddr::new(address.into(), listen.port()),
        None => dialled(listen, None),
    }
}

/// Where a client on this machine reaches the server.
pub(super) fn dialled(listen: SocketAddr, told: Option<Ipv4Addr>) -> SocketAddr {
    match (listen.ip(), told) {
        (address, Some(told)) if address.is_unspecified() => SocketAddr::new(told.into(), listen.port()),
        (address, None) if address.is_unspecified() => SocketAddr::new(Ipv4Addr::LOCALHOST.into(), listen.port()),
        _ => listen,
    }
}

/// The address that packets to the outside leave from. Connecting a UDP socket only asks the
/// routing table; it sends nothing.
fn of_default_route() -> Option<Ipv4Addr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect(OUTSIDE).ok()?;
    match socket.local_addr().ok()?.ip() {
        IpAddr::V4(address) if !address.is_loopback() && !address.is_unspecified() => Some(address),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
