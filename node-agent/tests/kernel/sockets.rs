//! Socket calls to Services.

use std::{
    collections::BTreeMap,
    net::{Ipv6Addr, SocketAddr, UdpSocket},
    time::Duration,
};

use nodeplane_node_agent::model::{Frontend, Protocol};
use nodeplane_tests::bed::netns::{Cell, Netns};

use super::bed::{
    BACKEND_PORT, Node, PORT, Seen, Server, VIP, any_udp, ask_tcp, ask_udp, backend_addr, frontend, services,
};

fn service() -> SocketAddr {
    (VIP, PORT).into()
}

/// The Service as a dual-stack socket writes it.
fn mapped_service() -> SocketAddr {
    (VIP.to_ipv6_mapped(), PORT).into()
}

#[test]
fn a_tcp_client_reaches_the_backend_and_believes_to_talk_to_the_service() {
    let node = Node::new();
    let _server = Server::tcp(&node.netns, backend_addr(1));
    let plane = node.plane();
    plane.sync(&services(&[frontend(Protocol::Tcp, &[1])])).expect("sync");

    let seen: Result<Seen, i32> = node.client().run(|| ask_tcp(service())).expect("client");
    assert_eq!(seen, Ok((1, service())));
    let verdicts = plane.verdicts().expect("verdicts");
    assert_eq!((verdicts["translated"], verdicts["reversed"]), (1, 1));
}

#[test]
fn a_dual_stack_socket_reaches_the_same_service() {
    let node = Node::new();
    let _tcp = Server::tcp(&node.netns, backend_addr(1));
    let _udp = Server::udp(&node.netns, backend_addr(1));
    node.plane().sync(&services(&[frontend(Protocol::Tcp, &[1]), frontend(Protocol::Udp, &[1])])).expect("sync");

    let seen: [Result<Seen, i32>; 3] = node
        .client()
        .run(|| {
            let unconnected = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).expect("bind");
            let connected = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).expect("bind");
            let peer = connected.connect(mapped_service()).and_then(|()| connected.peer_addr());
            let peer = peer.map(|peer| (1, peer)).map_err(|error| error.raw_os_error().unwrap_or(-1));
            [ask_tcp(mapped_service()), ask_udp(&unconnected, mapped_service()), peer]
        })
        .expect("client");
    assert_eq!(seen, [Ok((1, mapped_service())); 3]);
}

#[test]
fn udp_answers_come_from_the_service_connected_or_not() {
    let node = Node::new();
    let _server = Server::udp(&node.netns, backend_addr(1));
    node.plane().sync(&services(&[frontend(Protocol::Udp, &[1])])).expect("sync");

    let unconnected: Result<Seen, i32> = node.client().run(|| ask_udp(&any_udp(), service())).expect("client");
    assert_eq!(unconnected, Ok((1, service())));
    let connected: (SocketAddr, u8, SocketAddr) = node
        .client()
        .run(|| {
            let socket = any_udp();
            socket.connect(service()).expect("connect");
            socket.send(b"?").expect("send");
            socket.set_read_timeout(Some(Duration::from_secs(5))).expect("timeout");
            let mut answer = [0];
            let (_, from) = socket.recv_from(&mut answer).expect("answer");
            (socket.peer_addr().expect("peer"), answer[0], from)
        })
        .expect("client");
    assert_eq!(connected, (service(), 1, service()));
}

#[test]
fn a_service_without_endpoints_refuses_and_so_does_an_unknown_port() {
    let node = Node::new();
    let plane = node.plane();
    plane.sync(&services(&[frontend(Protocol::Tcp, &[]), frontend(Protocol::Udp, &[])])).expect("sync");

    let errors: Vec<Option<i32>> = node
        .client()
        .run(|| {
            let other_port = (VIP, PORT + 1);
            let udp_connect = any_udp().connect(service()).map_err(|error| error.raw_os_error().unwrap_or(-1));
            vec![
                ask_tcp(service()).err(),
                udp_connect.err(),
                ask_udp(&any_udp(), service()).err(),
                ask_tcp(other_port).err(),
                ask_udp(&any_udp(), other_port).err(),
                ask_tcp(mapped_service()).err(),
            ]
        })
        .expect("client");
    assert_eq!(errors, vec![Some(libc::ECONNREFUSED); 6]);
    let verdicts = plane.verdicts().expect("verdicts");
    assert_eq!((verdicts["no_endpoint"], verdicts["no_port"]), (4, 2));
}

#[test]
fn what_is_no_service_is_left_alone() {
    let node = Node::new();
    let _server = Server::tcp(&node.netns, backend_addr(1));
    let plane = node.plane();
    plane.sync(&services(&[frontend(Protocol::Tcp, &[1])])).expect("sync");

    let direct = SocketAddr::from((backend_addr(1), BACKEND_PORT));
    let (seen, unassigned): (Result<Seen, i32>, Result<Seen, i32>) =
        node.client().run(|| (ask_tcp(direct), ask_tcp(("10.96.200.200", PORT)))).expect("client");
    assert_eq!(seen, Ok((1, direct)));
    assert_eq!(unassigned, Err(libc::ENETUNREACH), "an address without a Service is left to the routes");
    assert_eq!(plane.verdicts().expect("verdicts")["translated"], 0);
}

#[test]
fn processes_outside_the_cgroup_are_left_alone() {
    let node = Node::new();
    let _server = Server::tcp(&node.netns, backend_addr(1));
    node.plane().sync(&services(&[frontend(Protocol::Tcp, &[1])])).expect("sync");
    let seen = node.netns.run(|| ask_tcp(service()));
    assert_eq!(seen, Err(libc::ENETUNREACH));
}

fn ask_often(client: &Cell<'_>, times: usize) -> BTreeMap<u8, usize> {
    let answers: Vec<u8> =
        client.run(|| (0..times).map(|_| ask_tcp(service()).expect("answer").0).collect()).expect("client");
    answers.into_iter().fold(BTreeMap::new(), |mut counts, host| {
        *counts.entry(host).or_default() += 1;
        counts
    })
}

#[test]
fn connections_take_turns_over_the_backends() {
    let node = Node::new();
    let _servers = [1, 2, 3].map(|host| Server::tcp(&node.netns, backend_addr(host)));
    node.plane().sync(&services(&[frontend(Protocol::Tcp, &[1, 2, 3])])).expect("sync");
    assert_eq!(ask_often(&node.client(), 30), BTreeMap::from([(1, 10), (2, 10), (3, 10)]));
}

fn sticky(hosts: &[u8], secs: u32) -> Frontend {
    Frontend { affinity_secs: Some(secs), ..frontend(Protocol::Tcp, hosts) }
}

#[test]
fn a_client_keeps_its_backend_and_another_client_has_its_own() {
    let node = Node::new();
    let other_pod = Netns::new("npd").expect("namespace");
    let hosts = [1, 2];
    let _servers = hosts.map(|host| Server::tcp(&node.netns, backend_addr(host)));
    let _others = hosts.map(|host| Server::tcp(&other_pod, backend_addr(host)));
    node.plane().sync(&services(&[sticky(&hosts, 3_600)])).expect("sync");

    let first = ask_often(&node.client(), 10);
    // Another process of the same pod is the same client.
    assert_eq!(ask_often(&node.client(), 10), first);
    let second = ask_often(&Cell { netns: &other_pod, cgroup: &node.cgroup }, 10);
    assert_eq!((first.len(), second.len()), (1, 1));
    assert_ne!(first, second);
}

#[test]
fn affinity_ends_when_a_client_was_idle_too_long() {
    let node = Node::new();
    let _servers = [1, 2].map(|host| Server::tcp(&node.netns, backend_addr(host)));
    node.plane().sync(&services(&[sticky(&[1, 2], 1)])).expect("sync");
    let answers: Vec<u8> = node
        .client()
        .run(|| {
            let ask = || ask_tcp(service()).expect("answer").0;
            let mut answers = vec![ask(), ask()];
            // Being idle is the condition itself.
            std::thread::sleep(Duration::from_millis(1_100));
            answers.push(ask());
            answers
        })
        .expect("client");
    assert_eq!(answers[0], answers[1]);
    assert_ne!(answers[1], answers[2]);
}

#[test]
fn affinity_to_a_backend_that_went_is_forgotten() {
    let node = Node::new();
    let _servers = [1, 2].map(|host| Server::tcp(&node.netns, backend_addr(host)));
    let plane = node.plane();
    plane.sync(&services(&[sticky(&[1, 2], 3_600)])).expect("sync");
    let had = *ask_often(&node.client(), 1).keys().next().expect("answer");
    let other = 3 - had;
    plane.sync(&services(&[sticky(&[other], 3_600)])).expect("sync");
    assert_eq!(ask_often(&node.client(), 5), BTreeMap::from([(other, 5)]));
}

#[test]
fn datagrams_of_one_socket_reach_one_backend_until_it_goes() {
    let node = Node::new();
    let _servers = [1, 2].map(|host| Server::udp(&node.netns, backend_addr(host)));
    let plane = node.plane();
    plane.sync(&services(&[frontend(Protocol::Udp, &[1, 2])])).expect("sync");
    let client = node
        .client()
        .start(|stop| {
            let socket = any_udp();
            let mut answers = Vec::new();
            while !stop.requested() {
                answers.push(ask_udp(&socket, service()).map(|(host, _)| host));
            }
            answers.push(ask_udp(&socket, service()).map(|(host, _)| host));
            answers
        })
        .expect("client");
    super::bed::until("ten datagrams", || plane.verdicts().expect("verdicts")["translated"] > 10);
    let had = 1;
    plane.sync(&services(&[frontend(Protocol::Udp, &[2])])).expect("sync");
    let answers: Vec<Result<u8, i32>> = client.stop().expect("client");
    let moved = answers.iter().position(|answer| *answer != Ok(had)).expect("it moved");
    assert!(moved > 5, "one socket, one backend: {answers:?}");
    assert!(answers[moved..].iter().all(|answer| *answer == Ok(2)), "{answers:?}");
}

#[test]
fn a_connected_udp_socket_that_names_the_service_again_keeps_its_backend() {
    let node = Node::new();
    let _servers = [1, 2].map(|host| Server::udp(&node.netns, backend_addr(host)));
    node.plane().sync(&services(&[frontend(Protocol::Udp, &[1, 2])])).expect("sync");
    let answers: Vec<Result<Seen, i32>> = node
        .client()
        .run(|| {
            let socket = any_udp();
            socket.connect(service()).expect("connect");
            (0..6).map(|_| ask_udp(&socket, service())).collect()
        })
        .expect("client");
    // The answer of another backend would never be heard.
    assert_eq!(answers, [answers[0]; 6]);
    assert!(matches!(answers[0], Ok((_, from)) if from == service()), "{answers:?}");
}

#[test]
fn lookups_by_new_sockets_leave_affinity_alone() {
    const LOOKUPS: usize = 50;

    let node = Node::new();
    let _tcp = [1, 2].map(|host| Server::tcp(&node.netns, backend_addr(host)));
    let _udp = [1, 2].map(|host| Server::udp(&node.netns, backend_addr(host)));
    let plane = node.plane();
    let look_up = || {
        let answered = || (0..LOOKUPS).all(|_| ask_udp(&any_udp(), service()).is_ok());
        assert!(node.client().run(answered).expect("client"));
    };
    plane.sync(&services(&[sticky(&[1, 2], 3_600), frontend(Protocol::Udp, &[1])])).expect("sync");
    ask_often(&node.client(), 1);
    look_up();
    assert_eq!((node.entries("NP_AFFINITY"), node.entries("NP_UDP_FLOWS")), (1, 0), "one backend needs no memory");
    plane.sync(&services(&[sticky(&[1, 2], 3_600), frontend(Protocol::Udp, &[1, 2])])).expect("sync");
    look_up();
    assert_eq!((node.entries("NP_AFFINITY"), node.entries("NP_UDP_FLOWS")), (1, LOOKUPS));
    assert_eq!(plane.verdicts().expect("verdicts")["not_noted"], 0);
}
