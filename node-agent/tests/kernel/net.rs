//! The pods' network in namespaces of its own: a node, the world outside of it, and pods. Needs root.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    process::{Child, Command, Stdio},
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use nodeplane_node_agent::model::{Backend, Protocol};
use nodeplane_node_agent::{
    dataplane::{ServicePlane, fake::FakeDataplane},
    net::{self, Network, Settings, cidr::Cidr, names},
    pods::network::PodNetwork as _,
};
use nodeplane_tests::bed::netns::{Cell, Netns};
use tempfile::TempDir;

use super::bed::{BACKEND_PORT, Node, PORT as SERVICE_PORT, Server, VIP, ask_tcp, frontend, snapshot, until};

/// The node's address in the world, and that of somebody there.
const NODE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
const STRANGER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const PORT: u16 = 8080;
const ANSWER: Duration = Duration::from_secs(5);

/// A machine with one wire to the outside.
struct Machine {
    node: Netns,
    outside: Netns,
    state: TempDir,
    dataplane: FakeDataplane,
}

/// A pod: a namespace, and the process that holds it.
struct Pod {
    uid: String,
    netns: Netns,
    process: Child,
}

impl Machine {
    fn new() -> Self {
        let (node, outside) = (Netns::new("npn").expect("namespace"), Netns::new("npo").expect("namespace"));
        node.wire("uplink", &outside, "wire").expect("wire");
        node.ip(&format!("addr add {NODE}/24 dev uplink")).expect("address");
        node.ip(&format!("route add default via {STRANGER}")).expect("route");
        outside.ip(&format!("addr add {STRANGER}/24 dev wire")).expect("address");
        // Whatever the node lets out would be heard here.
        outside.ip(&format!("route add default via {NODE}")).expect("route");
        Self { node, outside, state: TempDir::new().expect("folder"), dataplane: FakeDataplane::default() }
    }

    fn settings(&self) -> Settings {
        Settings { services: cidr("10.96.0.0/16"), cluster: cidr("10.244.0.0/16"), state_dir: self.state.path().into() }
    }

    /// Runs something on the node.
    fn run<T: Send>(&self, act: impl AsyncFnOnce() -> T + Send) -> T {
        self.node.run(|| runtime().block_on(act()))
    }

    async fn open(&self) -> net::Result<Network> {
        self.open_range("10.244.3.0/24").await
    }

    async fn open_range(&self, range: &str) -> net::Result<Network> {
        Network::open(&self.settings(), cidr(range), Arc::new(ServicePlane::new(self.dataplane.clone()))).await
    }

    fn pod(&self, uid: &str) -> Pod {
        Pod::new(uid)
    }

    /// What a command says on the node.
    fn says(&self, command: &str) -> String {
        let mut words = command.split_whitespace();
        let mut command = Command::new(words.next().expect("a program"));
        let output = self.node.run(|| command.args(words).output()).expect("it runs");
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    /// Everything that the network could have left behind.
    fn traces(&self) -> Vec<String> {
        let links = self.says("ip -oneline link show");
        let links: Vec<&str> = links.lines().filter_map(|line| line.split(": ").nth(1)).collect();
        let forward = self.node.run(|| fs::read_to_string("/proc/sys/net/ipv4/ip_forward")).expect("readable");
        let rules = ["filter", "nat"].map(|table| self.says(&format!("iptables --table {table} --list-rules")));
        vec![
            links.join(" "),
            self.says("ip -4 route show table all"),
            self.says("ip address show lo"),
            forward,
            rules.concat(),
        ]
    }
}

impl Pod {
    fn new(uid: &str) -> Self {
        let netns = Netns::new("npp").expect("namespace");
        let process = netns.run(|| Command::new("sleep").arg("300").stdout(Stdio::null()).spawn()).expect("process");
        Self { uid: uid.to_owned(), netns, process }
    }

    fn pid(&self) -> i32 {
        i32::try_from(self.process.id()).expect("a process id")
    }

    async fn connect(&self, network: &Network) -> Ipv4Addr {
        let address = network.address(&self.uid).await.expect("a free address");
        network.connect(&self.uid, address, self.pid()).await.expect("connected");
        address
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn cidr(text: &str) -> Cidr {
    text.parse().expect("a range")
}

/// Tells one client its address as seen from here.
fn serve_one(netns: &Netns, address: Ipv4Addr) -> JoinHandle<IpAddr> {
    let listener = netns.run(|| TcpListener::bind((address, PORT))).expect("bind");
    thread::spawn(move || {
        let (mut stream, peer) = listener.accept().expect("a client");
        stream.write_all(b"hello").expect("written");
        peer.ip()
    })
}

/// Connects, and reads until the end.
fn ask(netns: &Netns, to: Ipv4Addr) -> Result<String, i32> {
    netns.run(|| {
        let asked = || {
            let mut stream = TcpStream::connect_timeout(&SocketAddr::from((to, PORT)), ANSWER)?;
            stream.set_read_timeout(Some(ANSWER))?;
            let mut text = String::new();
            stream.read_to_string(&mut text)?;
            Ok(text)
        };
        asked().map_err(|error: std::io::Error| error.raw_os_error().unwrap_or(-1))
    })
}

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

#[test]
fn only_the_pods_own_address_comes_out_of_it() {
    let machine = Machine::new();
    let pod = machine.pod("uid-a");
    machine.run(async || {
        pod.connect(&machine.open().await.expect("open")).await;
    });
    let (own, forged) = (Ipv4Addr::new(10, 244, 3, 2), Ipv4Addr::new(10, 244, 3, 200));
    pod.netns.ip(&format!("addr add {forged}/32 dev eth0")).expect("address");
    let node = machine.node.run(|| UdpSocket::bind((NODE, PORT))).expect("bind");
    node.set_read_timeout(Some(ANSWER)).expect("timeout");
    for source in [forged, own] {
        let socket = pod.netns.run(|| UdpSocket::bind((source, 0))).expect("bind");
        socket.send_to(b"?", (NODE, PORT)).expect("sent");
    }
    let (_, first) = node.recv_from(&mut [0]).expect("a packet");
    assert_eq!(first.ip(), IpAddr::V4(own), "the one before it was dropped");
}

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
fn rules_of_others_stay_and_do_not_stop_pods() {
    let machine = Machine::new();
    let pod = machine.pod("uid-a");
    // As Docker leaves the machine.
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
    let errors = machine.run(async || net::cleanup(machine.state.path()).await);
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
            let errors = machine.run(async || net::cleanup(machine.state.path()).await);
            assert!(errors.is_empty(), "{errors:?}");
            assert_eq!(machine.traces(), before);
        }
        assert!(pod.netns.interface("eth0").is_err());
        assert_eq!(fs::read_dir(machine.state.path()).expect("folder").count(), 0);
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
                service.backends = vec![Backend { addr: backend, port: BACKEND_PORT }];
                plane.sync(&snapshot(&[service])).expect("sync");
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
