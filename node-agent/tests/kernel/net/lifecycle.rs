//! Starting again, beside others' rules, and going.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, UdpSocket},
    sync::Arc,
};

use nodeplane_node_agent::{
    dataplane::cgroup,
    model::{Backend, Protocol},
    net::{self, Network, Settings, names},
    pods::network::PodNetwork as _,
    services::ServicePlane,
};
use nodeplane_tests::bed::netns::{Cell, Cgroup};
use tempfile::TempDir;

use super::bed::{ANSWER, Machine, NODE, Pod, STRANGER, ask, cidr, runtime, serve_one};
use crate::kernel::bed::{BACKEND_PORT, Node, PORT as SERVICE_PORT, Server, VIP, ask_tcp, frontend, services, until};

#[test]
fn a_restarted_agent_takes_over_what_is_there() {
    let machine = Machine::new();
    let pods = ["uid-a", "uid-b"].map(|uid| machine.pod(uid));
    let before = machine.run(async || {
        let network = machine.open().await.expect("open");
        [pods[0].connect(&network).await, pods[1].connect(&network).await]
    });
    let traces = machine.traces();
    // A link that an agent did not live to finish, and one of a pod that is gone.
    machine.node.ip("link add np-0123456789ab type veth peer name far").expect("link");
    machine.dataplane.state().endpoints.insert(Ipv4Addr::new(10, 244, 3, 9), Default::default());

    machine.run(async || {
        let network = machine.open().await.expect("open");
        assert_eq!(machine.traces(), traces, "nothing changed");
        assert_eq!(machine.dataplane.state().endpoints.keys().copied().collect::<Vec<_>>(), before);
        // New pods get other addresses; the old ones keep theirs, asked for or not.
        assert_eq!(network.address("uid-c").await.expect("free"), Ipv4Addr::new(10, 244, 3, 4));
        assert_eq!(network.address("uid-a").await.expect("kept"), before[0]);
        network.adopt("uid-d", Ipv4Addr::new(10, 244, 3, 5)).await;
        assert_eq!(network.address("uid-e").await.expect("free"), Ipv4Addr::new(10, 244, 3, 6));
        let refused = network.connect("uid-x", before[1], pods[1].pid()).await.expect_err("taken").to_string();
        assert_eq!(refused, format!("address {} belongs to another pod", before[1]));
        // Connecting again is no change.
        let index = machine.node.interface(&names::link("uid-a")).expect("link").0;
        assert_eq!(pods[0].connect(&network).await, before[0]);
        assert_eq!(machine.node.interface(&names::link("uid-a")).expect("link").0, index);
    });
    let heard = serve_one(&pods[1].netns, before[1]);
    assert_eq!(ask(&pods[0].netns, before[1]), Ok("hello".into()));
    heard.join().expect("served");
}

#[test]
fn rules_of_others_stay_and_do_not_stop_pods() {
    let machine = Machine::new();
    let pod = machine.pod("uid-a");
    // As Docker leaves the machine.
    machine.node.sysctl("net/ipv4/ip_forward", "1").expect("sysctl");
    for rule in ["-P FORWARD DROP", "-N DOCKER-USER", "-A DOCKER-USER -j RETURN", "-I FORWARD -j DOCKER-USER"] {
        machine.says(&format!("iptables {rule}"));
    }
    machine.says("iptables -t nat -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE");
    let before = machine.traces();
    machine.run(async || {
        let network = machine.open().await.expect("open");
        pod.connect(&network).await;
        let rules = machine.says("iptables --list-rules FORWARD");
        let ours = r#"-A FORWARD -m comment --comment "nodeplane: packets of pods" -j NODEPLANE-FORWARD"#;
        assert_eq!(rules, format!("-P FORWARD DROP\n{ours}\n-A FORWARD -j DOCKER-USER\n"));
        assert_reaches_world(&machine, &pod);
        // A node that lets nobody in answers the questions of its pods all the same.
        machine.says("iptables -P INPUT DROP");
        let dns = machine.node.run(|| UdpSocket::bind((network.gateway(), 53))).expect("bind");
        dns.set_read_timeout(Some(ANSWER)).expect("timeout");
        let client = pod.netns.run(|| UdpSocket::bind(("0.0.0.0", 0))).expect("bind");
        client.send_to(b"?", (network.gateway(), 53)).expect("sent");
        assert!(dns.recv_from(&mut [0]).is_ok());
        machine.says("iptables -P INPUT ACCEPT");
        // Somebody flushes everything; the next look puts our part back, once.
        machine.says("iptables --flush");
        machine.says("iptables --table nat --flush");
        machine.node.sysctl("net/ipv4/ip_forward", "0").expect("sysctl");
        for _ in 0..2 {
            network.tend().await.expect("tended");
        }
        assert_eq!(machine.says("iptables --list-rules FORWARD"), format!("-P FORWARD DROP\n{ours}\n"));
        assert_reaches_world(&machine, &pod);
    });
    machine.says("iptables -A FORWARD -j DOCKER-USER");
    machine.says("iptables -A DOCKER-USER -j RETURN");
    machine.says("iptables -t nat -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE");
    let errors = machine.run(async || net::cleanup(machine.state.path(), false).await);
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(machine.traces(), before);
}

fn assert_reaches_world(machine: &Machine, pod: &Pod) {
    let heard = serve_one(&machine.outside, STRANGER);
    assert_eq!(ask(&pod.netns, STRANGER), Ok("hello".into()));
    assert_eq!(heard.join().expect("served"), IpAddr::V4(NODE));
}

#[test]
fn the_clean_up_leaves_nothing() {
    for forwarding in ["0", "1"] {
        let machine = Machine::new();
        machine.node.sysctl("net/ipv4/ip_forward", forwarding).expect("sysctl");
        // iptables makes its own chains when it is first asked.
        machine.traces();
        let before = machine.traces();
        let pod = machine.pod("uid-a");
        machine.run(async || {
            pod.connect(&machine.open().await.expect("open")).await;
            // A second agent finds forwarding on, which is not how it was.
            machine.open().await.expect("open");
        });
        assert_ne!(machine.traces(), before);
        for _ in 0..2 {
            let errors = machine.run(async || net::cleanup(machine.state.path(), false).await);
            assert!(errors.is_empty(), "{errors:?}");
            assert_eq!(machine.traces(), before);
        }
        assert!(pod.netns.interface("eth0").is_err());
        assert_eq!(fs::read_dir(machine.state.path()).expect("folder").count(), 0);
    }
}

#[test]
fn forwarding_stays_on_when_others_need_it() {
    let rule = "iptables -A FORWARD -s 172.17.0.0/16 -j ACCEPT";
    for (engine, rules, left) in [(false, None, "0"), (true, None, "1"), (false, Some(rule), "1")] {
        let machine = Machine::new();
        machine.node.sysctl("net/ipv4/ip_forward", "0").expect("sysctl");
        machine.run(async || {
            machine.open().await.expect("open");
        });
        // Comes later, and finds that forwarding is on.
        if let Some(rule) = rules {
            machine.says(rule);
        }
        let errors = machine.run(async || net::cleanup(machine.state.path(), engine).await);
        assert!(errors.is_empty(), "{errors:?}");
        let forwarding = machine.node.run(|| fs::read_to_string("/proc/sys/net/ipv4/ip_forward")).expect("readable");
        assert_eq!(forwarding.trim(), left, "engine {engine}, rules {rules:?}");
        assert_eq!(fs::read_dir(machine.state.path()).expect("folder").count(), 0);
    }
}

#[test]
fn a_jump_of_somebody_else_goes_with_the_chain_and_emptied_chains_are_filled() {
    let machine = Machine::new();
    machine.traces();
    let before = machine.traces();
    machine.run(async || {
        let network = machine.open().await.expect("open");
        let whole = machine.says("iptables --list-rules NODEPLANE-FORWARD");
        machine.says("iptables --flush NODEPLANE-FORWARD");
        network.tend().await.expect("tended");
        assert_eq!(machine.says("iptables --list-rules NODEPLANE-FORWARD"), whole);
    });
    machine.says("iptables -A FORWARD -i uplink -j NODEPLANE-FORWARD");
    machine.says("iptables -A OUTPUT -g NODEPLANE-INPUT");
    let errors = machine.run(async || net::cleanup(machine.state.path(), false).await);
    assert!(errors.is_empty(), "{errors:?}");
    let (after, forwarding) = (machine.traces(), 3);
    assert_eq!((&after[..forwarding], &after[4..]), (&before[..forwarding], &before[4..]));
}

#[test]
fn a_pod_that_no_hook_sees_is_refused() {
    let machine = Machine::new();
    let pod = machine.pod("uid-a");
    let elsewhere = Cgroup::new("npd").expect("cgroup");
    machine.run(async || {
        let network = machine.open().await.expect("open");
        network.expect_cgroup(elsewhere.path().to_owned());
        let address = network.address(&pod.uid).await.expect("free");
        let error = network.connect(&pod.uid, address, pod.pid()).await.expect_err("outside").to_string();
        let place = format!("outside of {}, where Services are translated", elsewhere.path().display());
        assert!(error.contains(&place), "{error}");
        fs::write(elsewhere.path().join("cgroup.procs"), pod.pid().to_string()).expect("moved");
        network.connect(&pod.uid, address, pod.pid()).await.expect("inside");
        fs::write(cgroup::mount_point().expect("cgroup2").join("cgroup.procs"), pod.pid().to_string()).expect("back");
    });
}

#[test]
fn a_pods_service_survives_a_new_network_over_new_programs() {
    let (node, state) = (Node::new(), TempDir::new().expect("folder"));
    let pods = ["uid-a", "uid-b"].map(Pod::new);
    let settings =
        Settings { services: cidr("10.96.0.0/16"), cluster: cidr("10.244.0.0/16"), state_dir: state.path().into() };
    // What an agent does that starts.
    let start = || {
        let plane = Arc::new(node.plane());
        node.netns.run(|| {
            runtime().block_on(async {
                let network = Network::open(&settings, cidr("10.244.3.0/24"), plane.clone()).await.expect("open");
                let mut backend = Ipv4Addr::UNSPECIFIED;
                for pod in &pods {
                    backend = pod.connect(&network).await;
                }
                let mut service = frontend(Protocol::Tcp, &[]);
                service.backends = vec![Backend { addr: backend.into(), port: BACKEND_PORT }];
                plane.sync(&services(&[service])).expect("sync");
                backend
            })
        });
        plane
    };
    let mut plane = start();
    let _server = Server::tcp(&pods[1].netns, Ipv4Addr::new(10, 244, 3, 3));
    let client = Cell { netns: &pods[0].netns, cgroup: &node.cgroup };
    let client = client
        .start(|stop| {
            let (mut answers, mut errors) = (0u32, Vec::new());
            while !stop.requested() {
                match ask_tcp((VIP, SERVICE_PORT)) {
                    Ok((3, _)) => answers += 1,
                    other => errors.push(format!("{other:?}")),
                }
            }
            (answers, errors)
        })
        .expect("client");
    for _ in 0..3 {
        drop(plane);
        plane = start();
        let direct = |plane: &ServicePlane| plane.verdicts().expect("verdicts")["to_local_pod"];
        let before = direct(&plane);
        until("packets past the stack", || direct(&plane) > before + 50);
    }
    let (answers, errors): (u32, Vec<String>) = client.stop().expect("client");
    assert!(answers > 20);
    assert_eq!(errors, Vec::<String>::new());
}
