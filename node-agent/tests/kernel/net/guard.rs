//! What never leaves the machine, and what never comes out of a pod.

use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream, UdpSocket};

use nodeplane_node_agent::net;

use super::bed::{ANSWER, Machine, NODE, PORT, ask};

#[test]
fn nothing_for_the_cluster_leaves_the_machine() {
    let machine = Machine::new();
    let addresses = [[10, 96, 0, 1], [10, 96, 255, 254], [10, 244, 3, 77], [10, 244, 9, 9]].map(Ipv4Addr::from);
    // Whoever is sent to would answer: the addresses are there.
    for address in addresses {
        machine.outside.ip(&format!("addr add {address}/32 dev wire")).expect("address");
    }
    let listener = machine.outside.run(|| TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT))).expect("bind");
    assert!(machine.node.run(|| TcpStream::connect((addresses[0], PORT))).is_ok(), "without the guard they leave");
    machine.run(async || {
        net::protect(&machine.settings()).await.expect("protected");
    });
    for address in addresses {
        assert_eq!(ask(&machine.node, address), Err(libc::EHOSTUNREACH), "{address} from the node");
    }
    // A pod for each address: the kernel tells one of them of so many errors a second and no more.
    let pods = ["uid-a", "uid-b", "uid-c", "uid-d"].map(|uid| machine.pod(uid));
    machine.run(async || {
        let network = machine.open().await.expect("open");
        for pod in &pods {
            pod.connect(&network).await;
        }
    });
    for (pod, address) in pods.iter().zip(addresses) {
        assert_eq!(ask(&pod.netns, address), Err(libc::EHOSTUNREACH), "{address} from a pod");
    }
    drop(listener);
}

/// Without programs: what the stack itself lets pass. As a machine may be set up: no check, a strict one, and the loose
/// one, which is as strict where a link has no address.
#[test]
fn only_the_pods_own_address_comes_out_of_it_however_strict_the_machine_is() {
    for rp_filter in ["0", "1", "2"] {
        let machine = Machine::new();
        for conf in ["all", "default"] {
            machine.node.sysctl(&format!("net/ipv4/conf/{conf}/rp_filter"), rp_filter).expect("sysctl");
        }
        let pod = machine.pod("uid-a");
        machine.run(async || {
            pod.connect(&machine.open().await.expect("open")).await;
        });
        let own = Ipv4Addr::new(10, 244, 3, 2);
        // An address that nobody has, and one that the node has a route to.
        let forged = [Ipv4Addr::new(10, 244, 3, 200), Ipv4Addr::new(198, 51, 100, 7)];
        let node = machine.node.run(|| UdpSocket::bind((NODE, PORT))).expect("bind");
        node.set_read_timeout(Some(ANSWER)).expect("timeout");
        for source in forged {
            pod.netns.ip(&format!("addr add {source}/32 dev eth0")).expect("address");
        }
        for source in forged.into_iter().chain([own]) {
            let socket = pod.netns.run(|| UdpSocket::bind((source, 0))).expect("bind");
            socket.send_to(b"?", (NODE, PORT)).expect("sent");
        }
        let (_, first) = node.recv_from(&mut [0]).expect("a packet");
        assert_eq!(first.ip(), IpAddr::V4(own), "rp_filter {rp_filter}: those before it were dropped");
    }
}

#[test]
fn ranges_that_are_in_use_are_refused_and_yet_closed() {
    let machine = Machine::new();
    machine.node.ip("link add docker7 type bridge").expect("bridge");
    machine.node.ip("link set docker7 up").expect("up");
    machine.node.ip("addr add 10.244.3.1/24 dev docker7").expect("address");
    let error = machine.run(async || machine.open().await.err().expect("refused")).to_string();
    assert!(error.starts_with("the route to 10.244.3.0/24 on link ") && error.contains("choose another"), "{error}");
    let routes = machine.says("ip route show type unreachable");
    assert!(routes.contains("10.96.0.0/16") && routes.contains("10.244.0.0/16"), "{routes}");

    let outside = machine.run(async || machine.open_range("10.9.0.0/24").await.err().expect("refused")).to_string();
    assert_eq!(outside, "pod range 10.9.0.0/24 lies outside of the cluster's, 10.244.0.0/16");
    let small = machine.run(async || machine.open_range("10.244.9.0/31").await.err().expect("refused")).to_string();
    assert_eq!(small, "pod range 10.244.9.0/31 has no room for pods");
}
