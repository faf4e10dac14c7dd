//! A pod, its neighbours, its node and the world.

use std::{
    net::{IpAddr, Ipv4Addr},
    process::Command,
};

use nodeplane_node_agent::{
    net::{self, names},
    pods::network::PodNetwork as _,
};

use super::bed::{Machine, NODE, STRANGER, ask, serve_one};

#[test]
fn a_pod_reaches_node_pods_and_world_and_is_reached() {
    let machine = Machine::new();
    let pods = ["uid-a", "uid-b"].map(|uid| machine.pod(uid));
    let [a, b] = machine.run(async || {
        let network = machine.open().await.expect("open");
        assert_eq!(network.gateway(), Ipv4Addr::new(10, 244, 3, 1));
        [pods[0].connect(&network).await, pods[1].connect(&network).await]
    });
    assert_eq!([a, b], [2, 3].map(|last| Ipv4Addr::new(10, 244, 3, last)));

    // From pod to pod, and from the node to a pod: nobody's address is changed.
    let heard = serve_one(&pods[1].netns, b);
    assert_eq!(ask(&pods[0].netns, b), Ok("hello".into()));
    assert_eq!(heard.join().expect("served"), IpAddr::V4(a));
    let heard = serve_one(&pods[1].netns, b);
    assert_eq!(ask(&machine.node, b), Ok("hello".into()));
    assert_eq!(heard.join().expect("served"), IpAddr::from([10, 244, 3, 1]));
    // From a pod to the node, by both of its addresses.
    for address in [Ipv4Addr::new(10, 244, 3, 1), NODE] {
        let heard = serve_one(&machine.node, address);
        assert_eq!(ask(&pods[0].netns, address), Ok("hello".into()));
        assert_eq!(heard.join().expect("served"), IpAddr::V4(a));
    }
    // To the outside: as the node.
    let heard = serve_one(&machine.outside, STRANGER);
    assert_eq!(ask(&pods[0].netns, STRANGER), Ok("hello".into()));
    assert_eq!(heard.join().expect("served"), IpAddr::V4(NODE));

    let state = machine.dataplane.state();
    let (index, mac) = machine.node.interface(&names::link("uid-a")).expect("link");
    assert_eq!(state.endpoints[&a].ifindex, index);
    assert_eq!(state.endpoints[&a].host_mac.0, mac);
    assert_eq!(state.endpoints[&a].pod_mac.0, pods[0].netns.interface("eth0").expect("link").1);
    assert!(state.attached.contains(&index));
}

#[test]
fn a_new_sandbox_takes_the_link_of_the_old_one() {
    let machine = Machine::new();
    let (old, new) = (machine.pod("uid-a"), machine.pod("uid-a"));
    let address = machine.run(async || {
        let network = machine.open().await.expect("open");
        let address = old.connect(&network).await;
        assert_eq!(new.connect(&network).await, address);
        address
    });
    assert!(old.netns.interface("eth0").is_err());
    let heard = serve_one(&new.netns, address);
    assert_eq!(ask(&machine.node, address), Ok("hello".into()));
    heard.join().expect("served");
}

#[test]
fn a_disconnected_pod_is_gone_and_keeps_its_address_until_it_is_released() {
    let machine = Machine::new();
    let (pod, other) = (machine.pod("uid-a"), machine.pod("uid-b"));
    machine.run(async || {
        let network = machine.open().await.expect("open");
        let address = pod.connect(&network).await;
        for _ in 0..2 {
            network.disconnect(&pod.uid).await.expect("disconnected");
        }
        assert!(pod.netns.interface("eth0").is_err());
        assert!(machine.dataplane.state().endpoints.is_empty() && machine.dataplane.state().attached.is_empty());
        assert_eq!(network.address(&pod.uid).await.expect("kept"), address);
        assert_ne!(other.connect(&network).await, address);
        network.release(&pod.uid).await;
        assert_ne!(network.address("uid-c").await.expect("free"), address, "the last to be given again");
    });
    assert_eq!(ask(&machine.node, Ipv4Addr::new(10, 244, 3, 2)), Err(libc::EHOSTUNREACH));
}

#[test]
fn a_process_that_is_gone_is_no_pod() {
    let machine = Machine::new();
    machine.run(async || {
        let network = machine.open().await.expect("open");
        let address = network.address("uid-a").await.expect("free");
        // No process has this number: it is beyond the largest.
        let error = network.connect("uid-a", address, i32::MAX).await.expect_err("no process").to_string();
        assert!(error.starts_with("network namespace of process 2147483647: No such file"), "{error}");
    });
}

#[test]
fn a_process_of_the_machine_is_no_pod() {
    let machine = Machine::new();
    machine.run(async || {
        let network = machine.open().await.expect("open");
        let address = network.address("uid-a").await.expect("free");
        // The number of a process that was a pod's, and is now somebody else's on the machine.
        let mut process = Command::new("sleep").arg("60").spawn().expect("process");
        let pid = i32::try_from(process.id()).expect("a process id");
        let refused = network.connect("uid-a", address, pid).await;
        process.kill().and_then(|()| process.wait()).expect("ended");
        let error = refused.expect_err("the node's own").to_string();
        assert!(error.ends_with("it is the node's own, so the process is none of a pod's"), "{error}");
    });
    assert!(machine.node.interface("eth0").is_err());
}

#[test]
fn a_machine_without_a_way_out_has_pods_all_the_same() {
    let machine = Machine::new();
    machine.node.ip("link set uplink down").expect("down");
    let pods = ["uid-a", "uid-b"].map(|uid| machine.pod(uid));
    let address = machine.run(async || {
        assert_eq!(net::outside_address().await.expect("asked"), None);
        let network = machine.open().await.expect("open");
        pods[0].connect(&network).await;
        pods[1].connect(&network).await
    });
    let heard = serve_one(&pods[1].netns, address);
    assert_eq!(ask(&pods[0].netns, address), Ok("hello".into()));
    heard.join().expect("served");
}

#[test]
fn the_outside_address_is_that_of_the_default_route() {
    let machine = Machine::new();
    assert_eq!(machine.run(async || net::outside_address().await.expect("asked")), Some(NODE));
}
