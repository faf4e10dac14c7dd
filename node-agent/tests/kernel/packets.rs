//! Packets of pods, by real interfaces between namespaces.

use std::{
    collections::BTreeSet,
    io::{Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    process::Command,
    thread,
};

use nodeplane_node_agent::{dataplane::Endpoint, services::ServicePlane};
use nodeplane_tests::bed::netns::{Cell, Netns};

use super::bed::{ANSWER, BACKEND_PORT, Node, Seen, Server, ask_tcp};

const GATEWAY: &str = "10.244.0.1";

/// A pod as the agent wires it: a /32, a default route by the gateway, and neighbours that need no
/// asking.
pub(super) struct Pod {
    pub(super) netns: Netns,
    pub(super) endpoint: Endpoint,
}

impl Pod {
    pub(super) fn new(node: &Netns, addr: Ipv4Addr, host_side: &str) -> Self {
        Self::with_ifindex(node, addr, host_side, None)
    }

    /// `ifindex` is the number of the interface on the node's side; the kernel chooses if none.
    fn with_ifindex(node: &Netns, addr: Ipv4Addr, host_side: &str, ifindex: Option<u32>) -> Self {
        let netns = Netns::new("npp").expect("namespace");
        let index = ifindex.map(|index| format!("index {index}")).unwrap_or_default();
        let text = |mac: [u8; 6]| mac.map(|byte| format!("{byte:02x}")).join(":");
        node.ip(&format!("link add {host_side} {index} type veth peer name eth0 netns {}", netns.name())).expect("ip");
        node.ip(&format!("link set {host_side} up")).expect("ip");
        netns.ip("link set eth0 up").expect("ip");
        let (ifindex, host_mac) = node.interface(host_side).expect("interface");
        let (_, pod_mac) = netns.interface("eth0").expect("interface");
        for line in [
            format!("addr add {addr}/32 dev eth0"),
            format!("route add {GATEWAY} dev eth0 scope link"),
            format!("route add default via {GATEWAY} dev eth0"),
            format!("neigh add {GATEWAY} lladdr {} dev eth0 nud permanent", text(host_mac)),
        ] {
            netns.ip(&line).expect("ip");
        }
        node.ip(&format!("route add {addr} dev {host_side}")).expect("ip");
        node.ip(&format!("neigh add {addr} lladdr {} dev {host_side} nud permanent", text(pod_mac))).expect("ip");
        Self { netns, endpoint: Endpoint { addr, ifindex, pod_mac, host_mac } }
    }

    fn ask(&self, node: &Node, to: Ipv4Addr) -> Result<Seen, i32> {
        // Without a route nobody answers, so an attempt must not take the kernel's patience.
        let client = Cell { netns: &self.netns, cgroup: &node.cgroup };
        client.run(|| ask_tcp_briefly((to, BACKEND_PORT).into())).expect("client")
    }
}

fn ask_tcp_briefly(to: SocketAddr) -> Result<Seen, i32> {
    match TcpStream::connect_timeout(&to, std::time::Duration::from_millis(700)) {
        Ok(_) => ask_tcp(to),
        Err(error) => Err(error.raw_os_error().unwrap_or(-1)),
    }
}

pub(super) const A: Ipv4Addr = Ipv4Addr::new(10, 244, 0, 2);
pub(super) const B: Ipv4Addr = Ipv4Addr::new(10, 244, 0, 3);
/// On another node.
pub(super) const FAR: Ipv4Addr = Ipv4Addr::new(10, 244, 1, 2);

pub(super) fn add(node: &Node, plane: &ServicePlane, pods: &[&Pod]) {
    for pod in pods {
        node.netns.run(|| plane.add_endpoint(&pod.endpoint)).expect("endpoint");
    }
}

#[test]
fn pods_of_one_node_reach_each_other_past_the_stack() {
    let node = Node::new();
    // The stack of this node forwards nothing: only a redirect can carry the packets.
    node.netns.sysctl("net/ipv4/ip_forward", "0").expect("sysctl");
    let (a, b) = (Pod::new(&node.netns, A, "npa"), Pod::new(&node.netns, B, "npb"));
    let _server = Server::tcp(&b.netns, B);
    let plane = node.plane();
    assert!(a.ask(&node, B).is_err(), "nothing carries packets yet");

    add(&node, &plane, &[&a, &b]);
    assert_eq!(a.ask(&node, B), Ok((3, (B, BACKEND_PORT).into())));
    assert!(plane.verdicts().expect("verdicts")["to_local_pod"] >= 6);

    // A restarted agent adopts both, and pods go on talking before it does.
    drop(plane);
    assert!(a.ask(&node, B).is_ok());
    let plane = node.plane();
    add(&node, &plane, &[&a, &b]);
    assert!(a.ask(&node, B).is_ok());

    plane.remove_endpoint(B).expect("remove");
    plane.remove_endpoint(B).expect("remove again");
    assert!(a.ask(&node, B).is_err());
    plane.keep_endpoints(&BTreeSet::new()).expect("keep none");
    assert!(plane.endpoints().expect("endpoints").is_empty());
}

#[test]
fn an_interface_that_came_back_gets_a_new_link() {
    let node = Node::new();
    let plane = node.plane();
    node.netns.sysctl("net/ipv4/ip_forward", "0").expect("sysctl");
    let b = Pod::new(&node.netns, B, "npb");
    let _server = Server::tcp(&b.netns, B);
    let first = Pod::new(&node.netns, A, "npa");
    add(&node, &plane, &[&first, &b]);
    node.netns.ip("link delete npa").expect("delete");
    drop(first);
    // The agent was not told that the pod went, and the number of the interface is taken again.
    let ifindex = plane.endpoints().expect("endpoints")[&A].ifindex;
    let second = Pod::with_ifindex(&node.netns, A, "npa", Some(ifindex));
    assert_eq!(second.endpoint.ifindex, ifindex);
    assert!(second.ask(&node, B).is_err(), "the old link is attached to nothing");
    add(&node, &plane, &[&second]);
    assert_eq!(second.ask(&node, B), Ok((3, (B, BACKEND_PORT).into())));
}

/// Another node, with a pod at [`FAR`]. This one has no route to it yet.
pub(super) fn other_node(node: &Node) -> Netns {
    let other = Netns::new("npo").expect("namespace");
    node.netns.wire("wire0", &other, "wire0").expect("wire");
    node.netns.ip("addr add 192.0.2.1/24 dev wire0").expect("ip");
    other.ip("addr add 192.0.2.2/24 dev wire0").expect("ip");
    other.ip(&format!("addr add {FAR}/32 dev lo")).expect("ip");
    other.ip("route add 10.244.0.0/24 via 192.0.2.1").expect("ip");
    other
}

/// Nothing of A's pod passes by the stack.
fn drop_forwarded(node: &Node) {
    let firewall =
        node.netns.run(|| Command::new("iptables").args(["-A", "FORWARD", "-i", "npa", "-j", "DROP"]).status());
    assert!(firewall.expect("iptables").success());
}

#[test]
fn a_pod_elsewhere_is_reached_by_the_nodes_routes_past_its_firewall() {
    let node = Node::new();
    let other = other_node(&node);
    let _server = Server::tcp(&other, FAR);
    let a = Pod::new(&node.netns, A, "npa");
    let plane = node.plane();
    add(&node, &plane, &[&a]);

    // Without forwarding, and without a route, the stack has the word.
    node.netns.sysctl("net/ipv4/ip_forward", "0").expect("sysctl");
    assert!(a.ask(&node, FAR).is_err());
    node.netns.sysctl("net/ipv4/ip_forward", "1").expect("sysctl");
    assert!(a.ask(&node, FAR).is_err());
    assert_eq!(plane.verdicts().expect("verdicts")["to_other_node"], 0);

    node.netns.ip("route add 10.244.1.0/24 via 192.0.2.2").expect("ip");
    drop_forwarded(&node);
    let seen = a.ask(&node, FAR).expect("answer");
    assert_eq!(seen.1.ip(), IpAddr::V4(FAR));
    assert!(plane.verdicts().expect("verdicts")["to_other_node"] >= 6);
}

#[test]
fn packets_that_the_kernel_joined_go_past_the_stack_to_another_node() {
    const BYTES: usize = 4 << 20;

    let node = Node::new();
    let other = other_node(&node);
    node.netns.sysctl("net/ipv4/ip_forward", "1").expect("sysctl");
    node.netns.ip("route add 10.244.1.0/24 via 192.0.2.2").expect("ip");
    let a = Pod::new(&node.netns, A, "npa");
    let plane = node.plane();
    add(&node, &plane, &[&a]);
    drop_forwarded(&node);
    let listener = other.run(|| TcpListener::bind((FAR, BACKEND_PORT))).expect("bind");
    let reader = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        stream.set_read_timeout(Some(ANSWER)).expect("timeout");
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).map(|_| bytes.len())
    });
    a.netns.run(|| {
        let mut stream = TcpStream::connect_timeout(&(FAR, BACKEND_PORT).into(), ANSWER).expect("connect");
        stream.set_write_timeout(Some(ANSWER)).expect("timeout");
        stream.write_all(&vec![7; BYTES]).expect("written");
    });
    assert_eq!(reader.join().expect("reader").expect("read"), BYTES);
    let verdicts = plane.verdicts().expect("verdicts");
    assert_eq!(verdicts["to_stack"], 0, "{verdicts:?}");
    let packets = usize::try_from(verdicts["to_other_node"]).expect("a count");
    assert!(packets < BYTES / 1500, "not one was joined: {packets} packets");
}

#[test]
fn a_pod_uses_a_service_whose_backend_is_its_neighbour() {
    use nodeplane_node_agent::model::{Backend, Protocol};

    let node = Node::new();
    node.netns.sysctl("net/ipv4/ip_forward", "0").expect("sysctl");
    let (a, b) = (Pod::new(&node.netns, A, "npa"), Pod::new(&node.netns, B, "npb"));
    let _server = Server::tcp(&b.netns, B);
    let plane = node.plane();
    add(&node, &plane, &[&a, &b]);
    let mut web = super::bed::frontend(Protocol::Tcp, &[]);
    web.backends = vec![Backend { addr: B.into(), port: BACKEND_PORT }];
    plane.sync(&super::bed::services(&[web])).expect("sync");

    let service: SocketAddr = (super::bed::VIP, super::bed::PORT).into();
    for pod in [&a, &b] {
        let client = Cell { netns: &pod.netns, cgroup: &node.cgroup };
        let seen: Result<Seen, i32> = client.run(|| ask_tcp(service)).expect("client");
        assert_eq!(seen, Ok((3, service)), "the neighbour, and the backend itself");
    }
}
