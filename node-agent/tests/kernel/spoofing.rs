//! A pod that lies about its address: nothing of it arrives anywhere, past the stack or through it.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    path::Path,
};

use nodeplane_tests::bed::netns::Netns;
use tempfile::TempDir;

use super::{
    bed::{ANSWER, BACKEND_PORT, Node, bpftool},
    packets::{A, B, FAR, Pod, add, other_node},
};

/// An address of the node's range that nobody has.
const NOBODY: Ipv4Addr = Ipv4Addr::new(10, 244, 0, 77);
/// An address outside of the cluster.
const STRANGER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 7);

/// Sends from each of the addresses, the pod's own last, and says whose packet came first.
fn first_heard(pod: &Pod, forged: &[Ipv4Addr], at: &Netns, to: Ipv4Addr) -> IpAddr {
    let server = at.run(|| UdpSocket::bind((to, BACKEND_PORT))).expect("bind");
    server.set_read_timeout(Some(ANSWER)).expect("timeout");
    for source in forged.iter().chain([&pod.endpoint.addr]) {
        if *source != pod.endpoint.addr {
            pod.netns.ip(&format!("addr add {source}/32 dev eth0")).expect("address");
        }
        let socket = pod.netns.run(|| UdpSocket::bind((*source, 0))).expect("bind");
        socket.send_to(b"?", (to, BACKEND_PORT)).expect("sent");
        if *source != pod.endpoint.addr {
            pod.netns.ip(&format!("addr del {source}/32 dev eth0")).expect("address");
        }
    }
    server.recv_from(&mut [0]).map(|(_, from): (usize, SocketAddr)| from.ip()).expect("the pod's own packet")
}

#[test]
fn a_forged_source_reaches_no_pod_here_or_elsewhere_and_not_the_node() {
    let node = Node::new();
    let other = other_node(&node);
    node.netns.ip("route add 10.244.1.0/24 via 192.0.2.2").expect("ip");
    // Whatever is forged has a way back by another interface than the pod's.
    node.netns.ip("route add default via 192.0.2.2").expect("ip");
    other.ip("route add default via 192.0.2.1").expect("ip");
    node.netns.sysctl("net/ipv4/ip_forward", "1").expect("sysctl");
    let (a, b) = (Pod::new(&node.netns, A, "npa"), Pod::new(&node.netns, B, "npb"));
    let plane = node.plane();

    // Lies are believed, as nobody checks them.
    assert_eq!(first_heard(&a, &[STRANGER], &other, FAR), IpAddr::V4(STRANGER));
    assert_eq!(first_heard(&a, &[STRANGER], &b.netns, B), IpAddr::V4(STRANGER));

    // As the agent wires a pod: the stack checks what it sees, the program what goes past it.
    node.netns.sysctl("net/ipv4/conf/npa/rp_filter", "1").expect("sysctl");
    add(&node, &plane, &[&a, &b]);
    assert_eq!(first_heard(&a, &[NOBODY, STRANGER, FAR], &b.netns, B), IpAddr::V4(A), "a pod of this node");
    assert_eq!(first_heard(&a, &[B, NOBODY, STRANGER], &other, FAR), IpAddr::V4(A), "a pod elsewhere");
    let here = Ipv4Addr::new(192, 0, 2, 1);
    assert_eq!(first_heard(&a, &[B, NOBODY, STRANGER], &node.netns, here), IpAddr::V4(A), "the node");
    assert_eq!(plane.verdicts().expect("verdicts")["spoofed"], 2);
}

/// The beginning of `struct __sk_buff`, up to `ingress_ifindex`.
fn context(ingress_ifindex: u32) -> Vec<u8> {
    [[0; 36].as_slice(), &ingress_ifindex.to_ne_bytes()].concat()
}

fn datagram(source: Ipv4Addr, destination: Ipv4Addr) -> Vec<u8> {
    let ethernet: [u8; 14] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
    let ip: [u8; 12] = [0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0];
    let udp: [u8; 8] = [0x12, 0x34, 0, 80, 0, 8, 0, 0];
    [&ethernet[..], &ip, &source.octets(), &destination.octets(), &udp].concat()
}

/// Runs `from_pod` as it is pinned for an interface (BPF_PROG_TEST_RUN), and says what it returns.
fn returned(node: &Node, folder: &Path, ifindex: u32, source: Ipv4Addr, destination: Ipv4Addr) -> i64 {
    let link = node.pins().join(format!("links/pod-{ifindex}"));
    let program = bpftool(&["link", "show", "pinned", &link.display().to_string()])["prog_id"].to_string();
    let [data, context_file] = ["data", "context"].map(|name| folder.join(name).display().to_string());
    std::fs::write(&data, datagram(source, destination)).expect("written");
    std::fs::write(&context_file, context(ifindex)).expect("written");
    let ran = node
        .netns
        .run(|| bpftool(&["prog", "run", "id", &program, "data_in", &data, "ctx_in", &context_file, "repeat", "1"]));
    // It is an unsigned number to bpftool.
    i64::from(u32::try_from(ran["retval"].as_u64().expect("a verdict")).expect("32 bits").cast_signed())
}

#[test]
fn the_program_itself_lets_no_forged_source_past_the_stack() {
    const DROP: i64 = 2;
    const REDIRECT: i64 = 7;
    const NEXT: i64 = -1;

    let node = Node::new();
    let folder = TempDir::new().expect("folder");
    let (a, b) = (Pod::new(&node.netns, A, "npa"), Pod::new(&node.netns, B, "npb"));
    let plane = node.plane();
    add(&node, &plane, &[&a, &b]);
    let world = Ipv4Addr::new(192, 0, 2, 9);
    let from_a = |source, to| returned(&node, folder.path(), a.endpoint.ifindex, source, to);
    assert_eq!([from_a(A, B), from_a(A, world)], [REDIRECT, NEXT]);
    for to in [FAR, world] {
        assert_eq!(from_a(B, to), DROP, "a neighbour's address, to {to}");
    }
    for source in [NOBODY, STRANGER, FAR, Ipv4Addr::UNSPECIFIED] {
        for to in [B, FAR, world] {
            assert_eq!(from_a(source, to), NEXT, "{source} to {to}: the stack checks");
        }
    }
    assert_eq!(plane.verdicts().expect("verdicts")["spoofed"], 2);
}
