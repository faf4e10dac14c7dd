//! Starting, starting again, proving, refusing to start, and going away.

use std::{fs, net::SocketAddr, process::Command};

use nodeplane_node_agent::{
    dataplane::{Dataplane as _, Error, ServicePlane, bpf},
    model::Protocol,
};

use super::bed::{Node, PORT, Seen, Server, VIP, ask_tcp, backend_addr, frontend, snapshot, until};

fn service() -> SocketAddr {
    (VIP, PORT).into()
}

#[test]
fn a_restart_changes_nothing_and_no_connection_fails() {
    let node = Node::new();
    let _servers = [1, 2].map(|host| Server::tcp(&node.netns, backend_addr(host)));
    let services = snapshot(&[frontend(Protocol::Tcp, &[1, 2]), frontend(Protocol::Udp, &[1])]);
    let mut plane = node.plane();
    plane.sync(&services).expect("sync");
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
        let stats = plane.sync(&services).expect("sync");
        assert_eq!(stats.operations, 0);
    }
    let (answers, errors): ([u32; 2], Vec<String>) = client.stop().expect("client");
    assert_eq!(errors, Vec::<String>::new());
    assert!(answers[0].abs_diff(answers[1]) <= 1, "the turns go on across restarts: {answers:?}");
    assert_eq!(plane.dump().expect("dump"), before);
}

#[test]
fn services_work_while_no_agent_runs() {
    let node = Node::new();
    let _server = Server::tcp(&node.netns, backend_addr(1));
    node.plane().sync(&snapshot(&[frontend(Protocol::Tcp, &[1])])).expect("sync");
    let seen: Result<Seen, i32> = node.client().run(|| ask_tcp(service())).expect("client");
    assert_eq!(seen, Ok((1, service())));
}

#[test]
fn the_self_test_passes_and_leaves_nothing() {
    let node = Node::new();
    let mut dataplane = node.open();
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
    let mut dataplane = node.open();
    fs::remove_dir_all(node.bpffs.join("v1/links")).expect("links");
    let error = node.netns.run(|| dataplane.self_test()).expect_err("no hook").to_string();
    assert!(error.contains("was not translated") && error.contains("refused"), "{error}");
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
    fs::create_dir_all(node.bpffs.join("v1")).expect("the BPF file system is mounted");
    let pin = node.bpffs.join("v1/NP_SLOTS");
    let made = Command::new("bpftool")
        .args(["map", "create", &pin.display().to_string()])
        .args(["type", "hash", "key", "4", "value", "4", "entries", "1", "name", "odd"])
        .status()
        .expect("bpftool");
    assert!(made.success());
    let error = bpf::BpfDataplane::open(&node.config()).err().expect("refused");
    assert!(matches!(&error, Error::Layout { map: "NP_SLOTS", .. }), "{error}");
    assert!(error.to_string().contains("nodeplane-agent cleanup"), "{error}");
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
    assert!(old.exists(), "not before the first complete snapshot");
    plane.sync(&snapshot(&[])).expect("sync");
    assert!(!node.bpffs.join("v0").exists());
    assert!(node.bpffs.join("others").exists(), "not ours");
    fs::remove_dir(node.bpffs.join("others")).expect("folder");
}

#[test]
fn an_agent_with_another_cgroup_leaves_the_first_one() {
    let node = Node::new();
    let _server = Server::tcp(&node.netns, backend_addr(1));
    node.plane().sync(&snapshot(&[frontend(Protocol::Tcp, &[1])])).expect("sync");
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
    node.plane().sync(&snapshot(&[frontend(Protocol::Tcp, &[1])])).expect("sync");
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
        plane.sync(&case.snapshot).expect("sync");
        case.check(&crate::cases::outcome(&plane.dump().expect("dump"), &case.snapshot));
    }
}

#[tokio::test]
async fn what_the_programs_log_becomes_tracing_events() {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);
    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("lock").write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter("nodeplane::bpf=debug")
        .with_writer(move || writer.clone())
        .with_ansi(false)
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);

    let node = Node::new();
    let _server = Server::tcp(&node.netns, backend_addr(1));
    let plane = node.plane();
    plane.sync(&snapshot(&[frontend(Protocol::Tcp, &[1])])).expect("sync");
    let _: Vec<Result<Seen, i32>> =
        node.client().run(|| vec![ask_tcp(service()), ask_tcp((VIP, PORT + 1))]).expect("client");
    let expected = ["service hit: 10.96.7.1:80 proto 6 to 127.0.1.1:8080", "refused: 10.96.7.1:81 proto 6 verdict 2"];
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
    loop {
        let text = String::from_utf8_lossy(&lines.0.lock().expect("lock")).into_owned();
        if expected.iter().all(|line| text.contains(line)) {
            assert!(text.contains("DEBUG nodeplane::bpf"), "{text}");
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "{text}");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}
