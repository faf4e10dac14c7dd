//! Sockets at the addresses that were named, UDP and TCP at the same port. Never a wildcard: an
//! answer must leave from the address that was asked.

use std::{
    io,
    net::{SocketAddr, TcpListener, UdpSocket},
};

use socket2::{Domain, Protocol, Socket, Type};

/// How many TCP connections may wait to be accepted.
const TCP_BACKLOG: i32 = 256;
/// Room for a burst of questions in each UDP socket, in bytes; the kernel may give less.
const UDP_RECEIVE_BUFFER: usize = 1 << 20;
/// How often a free port is looked for that UDP and TCP both can have.
const PORT_ATTEMPTS: usize = 16;

/// An address that cannot be listened at.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen at {address} on {transport}: {source}{}", hint(source))]
pub struct BindError {
    /// The address.
    pub address: SocketAddr,
    /// UDP or TCP.
    pub transport: &'static str,
    /// What the system says.
    #[source]
    pub source: io::Error,
}

/// The sockets of one worker.
pub struct Sockets {
    pub(crate) udp: Vec<UdpSocket>,
    pub(crate) tcp: Vec<TcpListener>,
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrNotAvailable => " (the address must be on an interface of this machine first)",
        io::ErrorKind::AddrInUse => " (another server is listening there)",
        io::ErrorKind::PermissionDenied => " (ports below 1024 need CAP_NET_BIND_SERVICE)",
        _ => "",
    }
}

/// The sockets of `workers` workers at each of `addresses`, and the addresses with their ports.
pub fn bind(addresses: &[SocketAddr], workers: usize) -> Result<(Vec<Sockets>, Vec<SocketAddr>), BindError> {
    let workers = workers.max(1);
    let shared = workers > 1;
    let mut all: Vec<Sockets> = (0..workers).map(|_| Sockets { udp: Vec::new(), tcp: Vec::new() }).collect();
    let mut bound = Vec::with_capacity(addresses.len());
    for address in addresses {
        let mut address = *address;
        for sockets in &mut all {
            let (udp, tcp, actual) = bind_both(address, shared)?;
            address = actual;
            sockets.udp.push(udp);
            sockets.tcp.push(tcp);
        }
        bound.push(address);
    }
    Ok((all, bound))
}

/// UDP and TCP at the same address and port.
fn bind_both(address: SocketAddr, shared: bool) -> Result<(UdpSocket, TcpListener, SocketAddr), BindError> {
    let mut attempt = 1;
    loop {
        let refuse = |transport| move |source| BindError { address, transport, source };
        let udp = udp_socket(address, shared).map_err(refuse("UDP"))?;
        let actual = udp.local_addr().map_err(refuse("UDP"))?;
        match tcp_listener(actual, shared) {
            Ok(tcp) => return Ok((udp, tcp, actual)),
            // The port was our choice, so another one is as good.
            Err(_) if address.port() == 0 && attempt < PORT_ATTEMPTS => attempt += 1,
            Err(source) => return Err(BindError { address: actual, transport: "TCP", source }),
        }
    }
}

fn udp_socket(address: SocketAddr, shared: bool) -> io::Result<UdpSocket> {
    let socket = socket(address, Type::DGRAM, Protocol::UDP, shared)?;
    socket.set_recv_buffer_size(UDP_RECEIVE_BUFFER)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

fn tcp_listener(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let socket = socket(address, Type::STREAM, Protocol::TCP, shared)?;
    // Connections of a former server that are not quite gone do not keep us out.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(TCP_BACKLOG)?;
    Ok(socket.into())
}

fn socket(address: SocketAddr, kind: Type, protocol: Protocol, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    socket.set_nonblocking(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    if shared {
        socket.set_reuse_port(true)?;
    }
    Ok(socket)
}
