//! Starting, starting again, proving, refusing to start, and going away.

use std::{fs, net::SocketAddr};

use nodeplane_node_agent::{
    dataplane::{Dataplane as _, Error, bpf},
    model::Protocol,
    services::ServicePlane,
};

use super::bed::{Node, PORT, Seen, Server, VIP, ask_tcp, backend_addr, bpftool, frontend, services, until};

fn service() -> SocketAddr {
    (VIP, PORT).into()
}

#[test]
fn a_restart_changes_nothing_and_no_connection_fails() {
    let node = Node::new();
    let _servers = [1, 2].map(|host| Server::tcp(&node.netns, backend_addr(host)));
    let all = services(&[frontend(Protocol::Tcp, &[1, 2]), frontend(Protocol::Udp, &[1])]);
    let mut plane = node.plane();
    plane.sync(&all).expect("sync");
    let before = plane.dump().expect("dump");

    let client = node
        .client()
        .start(|stop| {
            let mut answers = [0u32; 2];
            let mut errors = Vec::new();
            while !stop.requested() {
                match ask_tcp(service()) {
                    Ok((host, peer)) if peer == service() => answers[usize::from(host) - 1] += 1,
                    Ok((_, peer)) => errors.push(format!("peer {peer}")),
                    Err(errno) => errors.push(format!("errno {errno}")),
                }
            }
            (answers, errors)
        })
        .expect("client");
    for _ in 0..3 {
        drop(plane);
        let translated = |plane: &ServicePlane| plane.verdicts().expect("verdicts")["translated"];
        plane = node.plane();
        let at_start = translated(&plane);
        until("connections under the new agent", || translated(&plane) > at_start + 50);
        let stats = plane.sync(&all).expect("sync");
        assert_eq!(stats.operations, 0);
    }
    let (answers, errors): ([u32; 2], Vec<String>) = client.stop().expect("client");
    assert_eq!(errors, Vec::<String>::new());
    assert!(answers[0].abs_diff(answers[1]) <= 1, "the turns go on across restarts: {answers:?}");
    assert_eq!(plane.dump().expect("dump"), before);
}

#[test]
fn a_service_changes_under_a_running_client_and_no_connection_fails() {
    const CHANGES: usize = 400;

    let node = Node::new();
    let _servers = [1, 2, 3].map(|host| Server::tcp(&node.netns, backend_addr(host)));
    let plane = node.plane();
    let steps: [&[u8]; 5] = [&[1, 2, 3], &[2], &[2, 3], &[1, 3], &[3, 1, 2]];
    plane.sync(&services(&[frontend(Protocol::Tcp, steps[0])])).expect("sync");
    let client = node
        .client()
        .start(|stop| {
            let (mut answers, mut errors) = (0u32, Vec::new());
            while !stop.requested() {
                match ask_tcp(service()) {
                    Ok(_) => answers += 1,
                    Err(errno) => errors.push(errno),
                }
            }
            (answers, errors)
        })
        .expect("client");
    for change in 1..=CHANGES {
        plane.sync(&services(&[frontend(Protocol::Tcp, steps[change % steps.len()])])).expect("sync");
    }
    until("connections", || plane.verdicts().expect("verdicts")["translated"] > 100);
    let (answers, errors): (u32, Vec<i32>) = client.stop().expect("client");
    assert!(answers > 0);
    assert_eq!(errors, Vec::<i32>::new());
    assert_eq!(plane.verdicts().expect("verdicts")["torn"], 0);
}

#[test]
fn services_work_while_no_agent_runs() {
    let node = Node::new();
    let _server = Server::tcp(&node.netns, backend_addr(1));
    node.plane().sync(&services(&[frontend(Protocol::Tcp, &[1])])).expect("sync");
    let seen: Result<Seen, i32> = node.client().run(|| ask_tcp(service())).expect("client");
    assert_eq!(seen, Ok((1, service())));
}

#[test]
fn the_self_test_passes_and_leaves_nothing() {
    let node = Node::new();
    let dataplane = node.open();
    node.netns.run(|| dataplane.self_test()).expect("the hooks act");
    assert_eq!(dataplane.dump().expect("dump"), nodeplane_node_agent::plan::Image::default());
    let left: Vec<_> = fs::read_dir(node.cgroup.path())
        .expect("cgroup")
        .filter_map(|entry| entry.ok().filter(|entry| entry.path().is_dir()))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn the_self_test_says_that_hooks_are_not_there() {
    let node = Node::new();
    let dataplane = node.open();
    // Somebody removes the pins behind our back; the kernel takes a moment to detach.
    fs::remove_dir_all(node.pins().join("links")).expect("links");
    until("nothing is attached", || node.netns.run(|| dataplane.self_test()).is_err());
    let error = node.netns.run(|| dataplane.self_test()).expect_err("no hook").to_string();
    assert!(error.contains("was not translated") && error.contains("refused"), "{error}");
}

#[test]
fn what_the_probe_of_a_killed_agent_left_goes() {
    let node = Node::new();
    // Beyond the largest process number, so that nobody has it; and one of somebody who lives.
    let [left, lives] =
        [u32::MAX, std::process::id()].map(|agent| node.cgroup.path().join(format!("nodeplane-probe-{agent}")));
    for folder in [&left, &lives] {
        fs::create_dir(folder).expect("cgroup");
    }
    bpf::clean_cgroup(Some(node.cgroup.path()));
    assert!(!left.exists() && lives.exists());
    fs::remove_dir(lives).expect("removed");
}

#[test]
fn a_second_agent_and_a_clean_up_keep_off_the_pins_of_the_first() {
    let node = Node::new();
    let plane = node.plane();
    let refusals = [bpf::BpfDataplane::open(&node.config()).err(), bpf::cleanup(&node.bpffs).err()];
    for refusal in refusals {
        let error = refusal.expect("refused").to_string();
        assert!(error.contains("another agent is at work with these pins"), "{error}");
    }
    assert!(node.pins().join("links").exists());
    drop(plane);
    drop(node.plane());
}

#[test]
fn the_place_of_everybodys_pins_is_refused() {
    let node = Node::new();
    let config = bpf::Config { bpffs: "/sys/fs/bpf".into(), ..node.config() };
    for refusal in [bpf::BpfDataplane::open(&config).err(), bpf::cleanup(&config.bpffs).err()] {
        let error = refusal.expect("refused").to_string();
        assert!(error.contains("name a folder below it"), "{error}");
    }
}

#[test]
fn a_clean_up_removes_nothing_that_no_agent_made() {
    let node = Node::new();
    drop(node.plane());
    let [other_map, other_link] = ["v1", "v1/links"].map(|folder| node.bpffs.join(folder).join("others"));
    fs::create_dir_all(node.bpffs.join("v1/links")).expect("folder");
    for pin in [&other_map, &other_link] {
        let path = pin.display().to_string();
        let shape = ["type", "hash", "key", "4", "value", "4", "entries", "1", "name", "odd"];
        bpftool(&[&["map", "create", &path], &shape[..]].concat());
    }
    bpf::cleanup(&node.bpffs).expect("cleanup");
    assert!(other_map.exists() && other_link.exists() && !node.pins().exists());
    fs::remove_file(other_map).and_then(|()| fs::remove_file(other_link)).expect("removed");
}

#[test]
fn a_folder_that_is_no_cgroup_is_refused() {
    let node = Node::new();
    let mut config = node.config();
    config.cgroup_root = Some("/proc".into());
    let error = bpf::BpfDataplane::open(&config).err().expect("refused");
    assert!(matches!(error, Error::Cgroup(_)), "{error}");
}

#[test]
fn pins_outside_the_bpf_file_system_are_refused() {
    let node = Node::new();
    let mut config = node.config();
    config.bpffs = "/proc/nowhere".into();
    let error = bpf::BpfDataplane::open(&config).err().expect("refused");
    assert!(matches!(&error, Error::Pins { reason, .. } if reason.contains("mount -t bpf")), "{error}");
}

#[test]
fn pinned_maps_of_another_layout_are_refused() {
    let node = Node::new();
    fs::create_dir_all(node.pins()).expect("the BPF file system is mounted");
    let pin = node.pins().join("NP_SLOTS");
    // Another size, and the right sizes in a map that forgets.
    for (kind, key, entries) in [("hash", "4", "1"), ("lru_hash", "8", "262144")] {
        let path = pin.display().to_string();
        let shape = ["type", kind, "key", key, "value", "4", "entries", entries, "name", "odd"];
        bpftool(&[&["map", "create", &path], &shape[..]].concat());
        let error = bpf::BpfDataplane::open(&node.config()).err().expect("refused");
        assert!(matches!(&error, Error::Layout { map: "NP_SLOTS", .. }), "{error}");
        assert!(error.to_string().contains("nodeplane-agent cleanup"), "{error}");
        fs::remove_file(&pin).expect("removed");
    }
}

#[test]
fn pins_of_another_version_go_when_the_maps_are_complete() {
    let node = Node::new();
    let plane = node.plane();
    let old = node.bpffs.join("v0/links");
    fs::create_dir_all(&old).expect("folder");
    fs::create_dir(node.bpffs.join("others")).expect("folder");
    drop(plane);
    let plane = node.plane();
    assert!(old.exists(), "not before everything is known");
    plane.sync(&services(&[])).expect("sync");
    assert!(!node.bpffs.join("v0").exists());
    assert!(node.bpffs.join("others").exists(), "not ours");
    fs::remove_dir(node.bpffs.join("others")).expect("folder");
}

#[test]
fn an_agent_with_another_cgroup_leaves_the_first_one() {
    let node = Node::new();
    let _server = Server::tcp(&node.netns, backend_addr(1));
    node.plane().sync(&services(&[frontend(Protocol::Tcp, &[1])])).expect("sync");
    let other = nodeplane_tests::bed::netns::Cgroup::new("npd").expect("cgroup");
    let mut config = node.config();
    config.cgroup_root = Some(other.path().to_owned());
    drop(bpf::BpfDataplane::open(&config).expect("open"));

    let ask = |cell: nodeplane_tests::bed::netns::Cell<'_>| -> Result<Seen, i32> {
        cell.run(|| ask_tcp(service())).expect("client")
    };
    assert_eq!(ask(node.client()), Err(libc::ENETUNREACH));
    assert_eq!(ask(nodeplane_tests::bed::netns::Cell { netns: &node.netns, cgroup: &other }), Ok((1, service())));
}

#[test]
fn cleanup_removes_everything_and_may_be_repeated() {
    let node = Node::new();
    let _server = Server::tcp(&node.netns, backend_addr(1));
    node.plane().sync(&services(&[frontend(Protocol::Tcp, &[1])])).expect("sync");
    bpf::cleanup(&node.bpffs).expect("cleanup");
    assert!(!node.bpffs.exists());
    let seen: Result<Seen, i32> = node.client().run(|| ask_tcp(service())).expect("client");
    assert_eq!(seen, Err(libc::ENETUNREACH));
    bpf::cleanup(&node.bpffs).expect("cleanup again");
}

#[test]
fn the_golden_cases_come_out_of_real_maps_as_well() {
    let node = Node::new();
    for case in crate::cases::all() {
        // Every case on maps of its own: ids count from one.
        bpf::cleanup(&node.bpffs).expect("cleanup");
        let plane = node.plane();
        plane.sync(&case.services).expect("sync");
        case.check(&crate::cases::outcome(&plane.dump().expect("dump"), &case.services));
    }
}
