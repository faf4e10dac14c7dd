use std::{fs, path::Path, sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Node;
use kube::{Api, Client, runtime::watcher};
use nodeplane_client::{fake::Fake, informer::Informer};
use serde_json::{Value, json};
use tokio::{
    sync::watch,
    task::yield_now,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    facts::{Facts, Pressure},
    health::{Health, PARTS, Part},
    object::Reading,
    *,
};

const PATH: &str = "/api/v1/nodes/node-1";
const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/node-1";
const SLICE: &str = "/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices/kube-dns-node-1";

fn identity() -> Identity {
    Identity { name: "node-1".into(), address: Ipv4Addr::new(192, 0, 2, 7), port: 10250 }
}

fn facts() -> Facts {
    Facts {
        architecture: "amd64",
        kernel: "6.18.0".into(),
        os_image: "Debian GNU/Linux 12 (bookworm)".into(),
        machine_id: "e9b1".into(),
        system_uuid: "ec2d".into(),
        boot_id: "8b41".into(),
        processors: 2,
        memory: 8 << 30,
        disk: 100 << 30,
    }
}

fn healthy() -> Health {
    let health = Health::default();
    PARTS.iter().for_each(|part| health.well(*part));
    health
}

fn at(time: &str) -> Timestamp {
    time.parse().expect("a time")
}

/// The Node as it would be registered.
fn node(health: &Health, pressure: Pressure) -> Node {
    let (facts, report) = (facts(), health.watch().borrow().clone());
    let reading = Reading { facts: &facts, pressure, runtime: "docker://20.10.24", report: &report };
    let status = object::status(&identity(), &reading, &[], at("2030-01-02T03:04:05Z"));
    object::node(&identity(), &facts, status, None)
}

/// Compares with a file; `NODEPLANE_UPDATE_GOLDEN=1` writes it instead.
fn check_golden(name: &str, node: &Node) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/node").join(name);
    let text = serde_yaml::to_string(node).expect("YAML");
    if std::env::var_os("NODEPLANE_UPDATE_GOLDEN").is_some() {
        fs::create_dir_all(path.parent().expect("a folder")).expect("folder");
        fs::write(&path, &text).expect("written");
    }
    let expected = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(text, expected, "{}", path.display());
}

#[test]
fn a_ready_node_looks_like_this() {
    check_golden("ready.yaml", &node(&healthy(), Pressure::default()));
}

#[test]
fn a_node_in_trouble_says_why() {
    let health = healthy();
    health.unwell(Part::Runtime, "cannot connect to the container runtime: no such file");
    health.unwell(Part::Network, "no address is free in 10.244.0.0/24");
    health.unwell(Part::Services, "socket hooks do not work in cgroup /x: the probe was not translated");
    check_golden("in-trouble.yaml", &node(&health, Pressure { memory: true, disk: true, processes: true }));
}

#[test]
fn a_condition_keeps_the_time_of_its_last_change() {
    let (facts, health) = (facts(), healthy());
    let status = |health: &Health, before: &[_], time| {
        let report = health.watch().borrow().clone();
        let reading = Reading { facts: &facts, pressure: Pressure::default(), runtime: "", report: &report };
        object::status(&identity(), &reading, before, at(time)).conditions.expect("conditions")
    };
    let first = status(&health, &[], "2030-01-01T00:00:00Z");
    health.unwell(Part::Dns, "no socket");
    let second = status(&health, &first, "2030-01-01T00:01:00Z");
    health.unwell(Part::Dns, "still no socket");
    let third = status(&health, &second, "2030-01-01T00:02:00Z");
    let times = |conditions: &[k8s_openapi::api::core::v1::NodeCondition], type_: &str| {
        let condition = conditions.iter().find(|condition| condition.type_ == type_).expect("a condition");
        let time = |time: &Option<k8s_openapi::apimachinery::pkg::apis::meta::v1::Time>| {
            time.as_ref().expect("a time").0.to_string()[14..16].to_owned()
        };
        (time(&condition.last_transition_time), time(&condition.last_heartbeat_time))
    };
    assert_eq!(times(&third, "Ready"), ("01".into(), "02".into()));
    assert_eq!(times(&third, "MemoryPressure"), ("00".into(), "02".into()));
}

/// A keeper at work on a server in memory.
struct Stage {
    api: Fake,
    client: Client,
    health: Health,
    keeper: Arc<Keeper>,
    stop: CancellationToken,
}

impl Stage {
    fn start(api: Fake, known_range: Option<&str>) -> Self {
        let client = api.client();
        let health = Health::default();
        let informer = Arc::new(Informer::start(Api::all(client.clone()), watcher::Config::default()));
        let keeper = Arc::new(Keeper::new(identity(), "/".into(), health.clone(), &client, informer));
        keeper.set_runtime("docker://20.10.24");
        let stop = CancellationToken::new();
        tokio::spawn({
            let (keeper, stop, range) = (keeper.clone(), stop.clone(), known_range.map(str::to_owned));
            async move { keeper.run(move || range.clone(), &stop).await }
        });
        Self { api, client, health, keeper, stop }
    }

    fn node(&self) -> Value {
        self.api.get(PATH).unwrap_or_default()
    }

    fn ready(&self) -> (String, String) {
        let node = self.node();
        let conditions = node["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let ready = conditions.into_iter().find(|condition| condition["type"] == "Ready").unwrap_or_default();
        let text = |field: &str| ready[field].as_str().unwrap_or_default().to_owned();
        (text("status"), text("message"))
    }

    fn well(&self) {
        PARTS.iter().for_each(|part| self.health.well(*part));
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn until(what: &str, so: impl Fn() -> bool) {
    let wait = async {
        while !so() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(timeout(Duration::from_secs(60), wait).await.is_ok(), "never: {what}");
}

#[tokio::test]
async fn a_node_is_registered_unready_and_becomes_ready() {
    let stage = Stage::start(Fake::default(), None);
    until("a node", || stage.api.get(PATH).is_some()).await;
    let (status, message) = stage.ready();
    assert_eq!(status, "False");
    assert!(message.starts_with("container runtime: has not started yet; pod network: has not"), "{message}");
    let node = stage.node();
    assert_eq!(node["metadata"]["labels"]["kubernetes.io/hostname"], "node-1");
    assert_eq!(node["spec"]["podCIDR"], Value::Null);
    stage.well();
    until("a ready node", || stage.ready() == ("True".into(), "kubelet is posting ready status".into())).await;
    stage.health.unwell(Part::Services, "the probe was not translated");
    until("the reason", || stage.ready() == ("False".into(), "service plane: the probe was not translated".into()))
        .await;
    assert_eq!(stage.node()["status"]["nodeInfo"]["containerRuntimeVersion"], "docker://20.10.24");
}

#[tokio::test]
async fn a_restart_does_not_make_a_ready_node_unready() {
    let first = Stage::start(Fake::default(), None);
    first.well();
    until("a ready node", || first.ready().0 == "True").await;
    first.stop.cancel();
    let since = |stage: &Stage| {
        let conditions = stage.node()["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let ready = conditions.into_iter().find(|condition| condition["type"] == "Ready").unwrap_or_default();
        ready["lastTransitionTime"].clone()
    };
    let (before, writes) = (since(&first), first.api.requests().len());
    // The clock of conditions counts seconds.
    sleep(Duration::from_millis(1100)).await;
    let second = Stage::start(first.api.clone(), None);
    for part in PARTS {
        until("the node is seen", || second.keeper.node().is_some()).await;
        for _ in 0..50 {
            yield_now().await;
        }
        second.health.well(part);
    }
    second.health.unwell(Part::Runtime, "gone");
    until("an unready node", || second.ready().0 == "False").await;
    assert_ne!(since(&second), before);
    let patches = second.api.requests().split_off(writes).iter().filter(|request| request.starts_with("PATCH")).count();
    assert_eq!(patches, 1, "{:?}", second.api.requests());
}

#[tokio::test]
async fn a_server_that_took_the_node_for_dead_is_corrected() {
    let stage = Stage::start(Fake::default(), None);
    stage.well();
    until("a ready node", || stage.ready().0 == "True").await;
    let mut node = stage.node();
    for condition in node["status"]["conditions"].as_array_mut().expect("conditions") {
        condition["status"] = "Unknown".into();
    }
    stage.api.put(PATH, node);
    until("a ready node", || stage.ready().0 == "True").await;
}

#[tokio::test]
async fn what_others_write_stays_and_is_no_reason_to_write() {
    let api = Fake::default();
    let labels = json!({ "pool": "blue", "kubernetes.io/os": "plan9" });
    let node = json!({ "kind": "Node", "apiVersion": "v1", "metadata": { "labels": labels }, "spec": { "unschedulable": true } });
    api.put(PATH, node);
    let stage = Stage::start(api, None);
    stage.well();
    until("a ready node", || stage.ready().0 == "True").await;
    let node = stage.node();
    assert_eq!((&node["metadata"]["labels"]["pool"], &node["spec"]["unschedulable"]), (&json!("blue"), &json!(true)));
    until("the right label", || stage.node()["metadata"]["labels"]["kubernetes.io/os"] == "linux").await;
    // The write that follows from the last change, if any, is over when the keeper has seen it.
    let seen = |annotation: &str| {
        let annotations = stage.keeper.node().and_then(|node| node.metadata.annotations.clone());
        annotations.is_some_and(|all| all.contains_key(annotation))
    };
    let writes = || stage.api.requests().iter().filter(|request| !request.starts_with("GET")).count();
    sleep(Duration::from_millis(300)).await;
    let before = writes();
    for annotation in ["a", "b", "c"] {
        let mut node = stage.node();
        node["metadata"]["annotations"][annotation] = "x".into();
        stage.api.put(PATH, node);
        until("the change is seen", || seen(annotation)).await;
        for _ in 0..50 {
            yield_now().await;
        }
    }
    assert_eq!(writes(), before, "{:?}", stage.api.requests());
}

#[tokio::test]
async fn a_deleted_node_comes_back_with_its_range() {
    let stage = Stage::start(Fake::default(), Some("10.244.5.0/24"));
    until("a node", || stage.api.get(PATH).is_some()).await;
    let first = stage.node()["metadata"]["uid"].clone();
    stage.api.remove(PATH);
    until("another node", || stage.api.get(PATH).is_some()).await;
    let node = stage.node();
    assert_ne!(node["metadata"]["uid"], first);
    assert_eq!(
        (&node["spec"]["podCIDR"], &node["spec"]["podCIDRs"]),
        (&json!("10.244.5.0/24"), &json!(["10.244.5.0/24"]))
    );
}

#[tokio::test]
async fn the_range_is_what_the_server_gives() {
    let stage = Stage::start(Fake::default(), None);
    until("a node", || stage.api.get(PATH).is_some()).await;
    let waiting = tokio::spawn({
        let keeper = stage.keeper.clone();
        async move { keeper.range().await }
    });
    let mut node = stage.node();
    node["spec"]["podCIDR"] = "10.244.2.0/24".into();
    stage.api.put(PATH, node);
    let range = waiting.await.expect("an answer").expect("a range");
    assert_eq!(range.to_string(), "10.244.2.0/24");
}

#[tokio::test]
async fn a_server_that_refuses_is_asked_again() {
    let api = Fake::default();
    api.refuse(503, "ServiceUnavailable");
    let stage = Stage::start(api, None);
    until("a node", || stage.api.get(PATH).is_some()).await;
}

#[tokio::test]
async fn the_lease_belongs_to_the_node_and_is_renewed() {
    let (api, stop) = (Fake::default(), CancellationToken::new());
    let (node, known) = watch::channel(None);
    let keep = tokio::spawn({
        let (client, stop) = (api.client(), stop.clone());
        let period = Duration::from_millis(50);
        async move { lease::renew_every(period, &client, "node-1", || known.borrow().clone(), &stop).await }
    });
    let patches = || api.requests().iter().filter(|request| **request == format!("PATCH {LEASE}")).count();
    for _ in 0..100 {
        yield_now().await;
    }
    assert_eq!(api.get(LEASE), None, "a lease without a Node would stay for ever");
    api.put(PATH, json!({ "kind": "Node", "apiVersion": "v1", "metadata": {} }));
    node.send_replace(serde_json::from_value(api.get(PATH).expect("a node")).expect("a node"));
    until("a lease", || api.get(LEASE).is_some()).await;
    let lease = api.get(LEASE).expect("a lease");
    let owner = &lease["metadata"]["ownerReferences"][0];
    assert_eq!((&owner["kind"], &owner["name"]), (&json!("Node"), &json!("node-1")));
    assert_eq!(
        (&lease["spec"]["holderIdentity"], &lease["spec"]["leaseDurationSeconds"]),
        (&json!("node-1"), &json!(40))
    );
    let first = lease["spec"]["renewTime"].clone();
    let before = patches();
    until("three more", || patches() >= before + 3).await;
    until("another time", || api.get(LEASE).expect("a lease")["spec"]["renewTime"] != first).await;
    stop.cancel();
    keep.await.expect("it ends");
}

#[tokio::test]
async fn the_place_where_dns_answers_is_published_and_kept() {
    let stage = Stage::start(Fake::default(), None);
    until("a node", || stage.keeper.node().is_some()).await;
    let slices = Arc::new(Informer::start(Api::all(stage.client.clone()), watcher::Config::default()));
    let (ready, follow) = watch::channel(Some(false));
    let (client, keeper, stop) = (stage.client.clone(), stage.keeper.clone(), stage.stop.clone());
    let publishing = tokio::spawn(async move {
        let at = ("node-1", Ipv4Addr::new(10, 244, 0, 1));
        dns_slice::publish(&client, slices, at, follow, || keeper.node().as_deref().cloned(), &stop).await;
    });
    until("a slice", || stage.api.get(SLICE).is_some()).await;
    let slice = stage.api.get(SLICE).expect("a slice");
    assert_eq!(slice["metadata"]["labels"]["kubernetes.io/service-name"], "kube-dns");
    assert_eq!(slice["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"], "nodeplane-agent");
    assert_eq!(slice["metadata"]["ownerReferences"][0]["kind"], "Node");
    let ports =
        json!([{ "name": "dns", "port": 53, "protocol": "UDP" }, { "name": "dns-tcp", "port": 53, "protocol": "TCP" }]);
    assert_eq!(slice["ports"], ports);
    let endpoint = &slice["endpoints"][0];
    assert_eq!((&endpoint["addresses"], &endpoint["nodeName"]), (&json!(["10.244.0.1"]), &json!("node-1")));
    assert_eq!(endpoint["conditions"]["ready"], false);

    let is_ready = || stage.api.get(SLICE).is_some_and(|slice| slice["endpoints"][0]["conditions"]["ready"] == true);
    ready.send_replace(Some(true));
    until("a ready endpoint", is_ready).await;
    let mut wrong = stage.api.get(SLICE).expect("a slice");
    wrong["endpoints"] = json!([]);
    stage.api.put(SLICE, wrong);
    until("the endpoint again", is_ready).await;
    stage.api.remove(SLICE);
    until("the slice again", is_ready).await;
    stage.stop.cancel();
    publishing.await.expect("it ends");
}
