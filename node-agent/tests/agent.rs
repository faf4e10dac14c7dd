//! The whole program on a machine of its own: how it starts, serves, ends, starts again and goes. Needs root.

#[path = "agent/bed.rs"]
mod bed;

use std::{
    fs,
    io::Write as _,
    net::{SocketAddr, TcpListener},
    thread,
};

use bed::{Machine, NODE_PATH};
use k8s_openapi::serde_json::{self, Value};
use nix::sys::signal::Signal;
use nodeplane_tests::bed::{host, process};

const RANGE: &str = "10.244.6.0/24";
const GATEWAY: &str = "10.244.6.1";
const SERVICE: &str = "10.96.7.7";

/// A server on the machine that greets whoever comes, for as long as the test runs.
fn greet(machine: &Machine) -> SocketAddr {
    let listener = machine.host.netns().run(|| TcpListener::bind((host::ADDRESS, 0))).expect("bind");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let _ = client.write_all(b"hello\n");
        }
    });
    address
}

/// A machine whose node is ready and has a Service.
fn ready() -> Machine {
    let mut machine = Machine::new();
    machine.start_engine();
    machine.put_service(SERVICE, greet(&machine));
    machine.start_agent();
    machine.give_range(RANGE);
    machine.until_ready();
    machine
}

fn dump(machine: &Machine) -> Value {
    let text = process::run(&mut machine.agent(&["dump"], machine.host.cgroup())).expect("it tells");
    serde_json::from_str(&text).expect("JSON")
}

fn connect_to_service(machine: &Machine) -> String {
    machine.says(&["bash", "-c", &format!("exec 3<>/dev/tcp/{SERVICE}/80 && cat <&3")])
}

#[test]
fn a_machine_becomes_a_node_on_which_services_and_names_work() {
    let mut machine = ready();
    let node = machine.api.get(NODE_PATH).expect("a node");
    assert_eq!(node["status"]["nodeInfo"]["containerRuntimeVersion"], "docker://20.10.24");
    assert_eq!(node["status"]["addresses"][0]["address"], "192.0.2.10");
    assert_eq!(connect_to_service(&machine), "hello\n");
    // The server's own Service, as every cluster has it.
    machine.api.put(
        "/api/v1/namespaces/kube-system/services/kube-dns",
        serde_json::json!({
            "kind": "Service", "apiVersion": "v1", "metadata": {},
            "spec": { "clusterIP": "10.96.0.10", "internalTrafficPolicy": "Local", "ports": [
                { "name": "dns", "port": 53, "protocol": "UDP" }, { "name": "dns-tcp", "port": 53, "protocol": "TCP" }] }
        }),
    );
    machine.until("DNS is published", |machine| published(machine).is_some());
    machine.until("the maps know it", |machine| {
        let dns = |service: &Value| {
            service["frontend"] == "10.96.0.10:53" && service["backends"][0] == format!("{GATEWAY}:53")
        };
        dump(machine)["dataplane"]["services"]
            .as_array()
            .is_some_and(|all| all.iter().filter(|one| dns(one)).count() == 2)
    });
    for transport in ["+notcp", "+tcp"] {
        let answer = machine.says(&["dig", "+short", transport, "@10.96.0.10", "web.default.svc.cluster.local"]);
        assert_eq!(answer.trim(), SERVICE, "{transport}");
    }
    let log = machine.host.log("agent");
    assert!(log.contains(&format!("service hit: {SERVICE}:80 ")), "{log}");
}

/// The version of the slice that says that this node's server answers names.
fn published(machine: &Machine) -> Option<Value> {
    let slice = machine.api.get("/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices/kube-dns-node-1")?;
    let is_ready = slice["endpoints"][0]["conditions"]["ready"] == true;
    is_ready.then(|| slice["metadata"]["resourceVersion"].clone())
}

#[test]
fn an_agent_that_starts_again_does_not_withdraw_names() {
    let mut machine = ready();
    machine.until("DNS is published", |machine| published(machine).is_some());
    let version = published(&machine);
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        machine.end_agent(signal);
        assert_eq!(published(&machine), version, "while no agent runs");
        machine.start_agent();
        let at = format!("@{GATEWAY}");
        machine.until("names are answered again", |machine| {
            let mut dig = machine.host.command("dig");
            let asked =
                process::output(dig.args(["+short", "+tries=1", "+time=1", &at, "web.default.svc.cluster.local"]));
            asked.is_ok_and(|told| String::from_utf8_lossy(&told.stdout).trim() == SERVICE)
        });
        assert_eq!(published(&machine), version, "under the new agent");
    }
}

#[test]
fn the_live_state_is_told() {
    let machine = ready();
    let state = dump(&machine);
    assert_eq!((&state["node"], &state["complaint"]), (&"node-1".into(), &Value::Null));
    assert_eq!((&state["network"]["range"], &state["network"]["gateway"]), (&RANGE.into(), &GATEWAY.into()));
    assert_eq!(state["dataplane"]["services"][0]["frontend"], format!("{SERVICE}:80"));
    assert!(state["dataplane"]["verdicts"]["translated"].is_u64(), "{state}");
}

#[test]
fn a_killed_and_a_stopped_agent_cost_no_connect() {
    let mut machine = ready();
    let stop = machine.path("stop");
    let script = format!(
        "n=0; f=0; while [ ! -e {} ]; do (exec 3<>/dev/tcp/{SERVICE}/80) && n=$((n+1)) || f=$((f+1)); done; echo $n $f",
        stop.display()
    );
    let mut client = machine.host.command("bash");
    machine.host.spawn("client", client.args(["-c", &script])).expect("started");
    for signal in [Signal::SIGKILL, Signal::SIGTERM] {
        machine.end_agent(signal);
        assert_eq!(connect_to_service(&machine), "hello\n", "while no agent runs");
        let translated = |machine: &Machine| dump(machine)["dataplane"]["verdicts"]["translated"].as_u64().unwrap_or(0);
        machine.start_agent();
        machine.until("the new agent answers", |machine| {
            process::output(&mut machine.agent(&["dump"], machine.host.cgroup()))
                .is_ok_and(|told| told.status.success())
        });
        machine.until("it has taken everything over", |machine| {
            let state = dump(machine);
            state["complaint"].is_null() && state["feed"]["syncs"].as_u64() > Some(0)
        });
        let before = translated(&machine);
        machine.until("connections under the new agent", |machine| translated(machine) > before + 5);
        assert_eq!(machine.ready().0, "True");
    }
    fs::write(&stop, "").expect("written");
    let mut tally = String::new();
    machine.until("the client ends", |machine| {
        machine.host.log("client").lines().last().is_some_and(|line| line.contains(' '))
    });
    tally.push_str(machine.host.log("client").trim());
    let (connected, failed) = tally.split_once(' ').expect("two numbers");
    assert!(connected.parse::<u32>().expect("a number") > 20 && failed == "0", "{tally}");
}

#[test]
fn a_node_without_an_engine_says_so_and_serves_all_the_same() {
    let mut machine = Machine::new();
    machine.put_service(SERVICE, greet(&machine));
    machine.start_agent();
    machine.give_range(RANGE);
    machine.until("the engine is all that is missing", |machine| {
        let (status, message) = machine.ready();
        status == "False" && message.starts_with("container runtime: ") && !message.contains(';')
    });
    assert_eq!(connect_to_service(&machine), "hello\n");
    machine.start_engine();
    machine.until_ready();
}

#[test]
fn hooks_that_cannot_work_keep_the_node_unready() {
    let mut machine = Machine::new();
    machine.start_engine();
    let wrong = machine.host.dir().to_owned();
    machine.start_agent_in(&wrong);
    machine.give_range(RANGE);
    let words = format!("{} is not a folder in a cgroup2 hierarchy", wrong.display());
    machine.until("the reason", |machine| {
        let (status, message) = machine.ready();
        status == "False" && message.contains(&words)
    });
}

#[test]
fn the_clean_up_leaves_the_machine_as_it_was() {
    let seen = |machine: &Machine| {
        [
            "ip -oneline link",
            "ip -4 route show table all",
            "ip address show lo",
            "ip rule",
            "iptables --list-rules",
            "iptables --table nat --list-rules",
            "cat /proc/sys/net/ipv4/ip_forward",
        ]
        .map(|command| machine.says(&command.split(' ').collect::<Vec<_>>()))
    };
    let mut machine = Machine::new();
    // As wherever an engine runs: it would need forwarding after us.
    machine.host.netns().sysctl("net/ipv4/ip_forward", "1").expect("sysctl");
    // iptables makes its own chains when it is first asked.
    seen(&machine);
    let before = seen(&machine);
    machine.start_engine();
    machine.start_agent();
    machine.give_range(RANGE);
    machine.until_ready();
    let running = process::output(&mut machine.agent(&["cleanup"], machine.host.cgroup())).expect("it runs");
    assert!(!running.status.success(), "a running agent would make everything again");
    machine.end_agent(Signal::SIGTERM);
    assert_ne!(seen(&machine), before);
    for _ in 0..2 {
        process::run(&mut machine.agent(&["cleanup"], machine.host.cgroup())).expect("cleaned up");
        assert_eq!(seen(&machine), before);
        assert!(!machine.bpffs().exists() && !machine.path("agent").exists());
    }
    let programs = machine.says(&["bpftool", "cgroup", "tree", &machine.host.cgroup().to_string_lossy()]);
    assert!(!programs.contains("connect4"), "{programs}");
}

#[test]
fn a_clean_up_without_an_engine_says_so_and_removes_the_rest() {
    let mut machine = Machine::new();
    machine.start_agent();
    machine.give_range(RANGE);
    machine.until("there is something to remove", |machine| {
        machine.ready().1.starts_with("container runtime") && !machine.ready().1.contains(';')
    });
    machine.end_agent(Signal::SIGKILL);
    let output = process::output(&mut machine.agent(&["cleanup"], machine.host.cgroup())).expect("it runs");
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !output.status.success() && words.contains("not everything could be removed:\n  cannot connect"),
        "{words}"
    );
    assert!(!machine.bpffs().exists());
    assert!(!machine.says(&["ip", "route", "show", "table", "all"]).contains("10.96."));
}

#[test]
fn a_kubeconfig_that_is_missing_ends_the_agent_with_a_sentence() {
    let machine = Machine::new();
    fs::remove_file(machine.path("kubeconfig")).expect("removed");
    let output = process::output(&mut machine.agent(&[], machine.host.cgroup())).expect("it runs");
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(words.contains("nodeplane-agent: kubeconfig /") && words.contains("No such file"), "{words}");
    assert_eq!(output.status.code(), Some(1));
    // And yet nothing for a Service leaves the machine.
    assert!(machine.says(&["ip", "route"]).contains("unreachable 10.96.0.0/16"));
}
