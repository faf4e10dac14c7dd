use std::time::Duration;

use proptest::{collection::vec, prelude::*, sample::select, test_runner::TestCaseResult};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{
    fake::{Fake, namespace, service, slice},
    *,
};
use crate::{
    answer::{Verdict, answer},
    config::Config,
    golden::{query, service_in, slice_in},
    zone::snapshot::Snapshot,
};

const PATIENCE: Duration = Duration::from_secs(30);

fn settings() -> Arc<Settings> {
    let config = Config {
        listen: vec!["127.0.0.1:53".parse().unwrap()],
        reverse_zones: vec!["10.0.0.0/8".parse().unwrap()],
        ..Config::default()
    };
    config.settings().unwrap()
}

/// An observer that follows a fake.
struct Following {
    zone: Published,
    synced: watch::Receiver<bool>,
    task: tokio::task::JoinHandle<()>,
}

impl Following {
    fn start(fake: &Fake) -> Self {
        let observer = Observer::new(Sources::watch(&fake.client()), settings());
        let (zone, synced) = (observer.zone(), observer.synced());
        Self { zone, synced, task: tokio::spawn(observer.run()) }
    }

    async fn ready(fake: &Fake) -> Self {
        let following = Self::start(fake);
        timeout(PATIENCE, following.synced.clone().wait_for(|synced| *synced)).await.unwrap().unwrap();
        following
    }

    fn answer(&self, text: &str) -> Verdict {
        answer(&self.zone.load(), &query(text))
    }

    /// Addresses and names in the answer.
    fn data(&self, text: &str) -> Vec<String> {
        match self.answer(text) {
            Verdict::Reply { reply, .. } => reply.answers.iter().map(|record| record.data.to_string()).collect(),
            Verdict::Forward => panic!("{text} was left to others"),
        }
    }

    async fn until(&self, what: &str, reached: impl Fn(&Self) -> bool) {
        let poll = async {
            while !reached(self) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(PATIENCE, poll).await.unwrap_or_else(|_| panic!("never: {what}"));
    }

    async fn until_data(&self, text: &str, expected: &[&str]) {
        self.until(&format!("{text} is {expected:?}"), |following| following.data(text) == expected).await;
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[tokio::test]
async fn every_change_reaches_the_zone() {
    let fake = Fake::new();
    fake.put(namespace("shop"));
    fake.put(service("shop", "web", "10.96.0.1"));
    fake.put(service("shop", "db", "None"));
    fake.put(slice("shop", "db-1", "db", &["10.244.0.1"]));
    let following = Following::ready(&fake).await;
    let (web, db) = ("web.shop.svc.cluster.local A", "db.shop.svc.cluster.local A");
    assert_eq!(following.data(web), ["10.96.0.1"]);
    assert_eq!(following.data(db), ["10.244.0.1"]);
    assert_eq!(following.data("1.0.96.10.in-addr.arpa PTR"), ["web.shop.svc.cluster.local."]);

    fake.put(slice("shop", "db-2", "db", &["10.244.0.2"]));
    following.until_data(db, &["10.244.0.1", "10.244.0.2"]).await;
    // A slice that goes over to another service.
    fake.put(service("shop", "peers", "None"));
    fake.put(slice("shop", "db-1", "peers", &["10.244.0.1"]));
    following.until_data("peers.shop.svc.cluster.local A", &["10.244.0.1"]).await;
    following.until_data(db, &["10.244.0.2"]).await;
    fake.delete(slice("shop", "db-2", "db", &[]));
    following.until_data(db, &[]).await;

    fake.put(service("shop", "web", "10.96.0.9"));
    following.until_data(web, &["10.96.0.9"]).await;
    assert_eq!(following.data("1.0.96.10.in-addr.arpa PTR"), [""; 0]);
    fake.delete(service("shop", "web", ""));
    following.until_data(web, &[]).await;
}

#[tokio::test]
async fn namespaces_come_and_go() {
    let fake = Fake::new();
    let following = Following::ready(&fake).await;
    let pod = "10-244-0-1.shop.pod.cluster.local A";
    assert_eq!(following.data(pod), [""; 0]);
    fake.put(namespace("shop"));
    following.until_data(pod, &["10.244.0.1"]).await;
    fake.delete(namespace("shop"));
    following.until_data(pod, &[]).await;
}

#[tokio::test]
async fn nothing_is_denied_before_everything_has_been_seen() {
    use hickory_proto::op::ResponseCode;
    let fake = Fake::new();
    fake.put(service("shop", "web", "10.96.0.1"));
    fake.put(service("shop", "db", "None"));
    fake.put(slice("shop", "db-1", "db", &["10.244.0.1"]));
    fake.hold("endpointslices");
    let following = Following::start(&fake);
    following.until_data("web.shop.svc.cluster.local A", &["10.96.0.1"]).await;
    let code = |text| match following.answer(text) {
        Verdict::Reply { reply, .. } => reply.code,
        Verdict::Forward => panic!(),
    };
    assert_eq!(code("db.shop.svc.cluster.local A"), ResponseCode::ServFail);
    assert!(!*following.synced.borrow());
    fake.hold("nothing");
    timeout(PATIENCE, following.synced.clone().wait_for(|synced| *synced)).await.unwrap().unwrap();
    assert_eq!(code("db.shop.svc.cluster.local A"), ResponseCode::NoError);
    assert_eq!(code("nobody.shop.svc.cluster.local A"), ResponseCode::NXDomain);
}

#[test]
fn objects_that_make_no_sense_have_no_facts() {
    let service_of = |object: Value| service_facts(&serde_json::from_value(object).unwrap());
    let slice_of = |object: Value| slice_facts(&serde_json::from_value(object).unwrap());
    assert!(service_of(service("shop", "web", "10.96.0.1")).is_some());
    assert!(service_of(service("shop", "web", "")).is_none());
    assert!(service_of(service("shop", "web", "nonsense")).is_none());
    assert!(service_of(json!({ "metadata": { "namespace": "shop", "name": "web" } })).is_none());
    let mut nobody = slice("shop", "db-1", "db", &["10.244.0.1", "nonsense"]);
    assert_eq!(slice_of(nobody.clone()).unwrap().endpoints.iter().flat_map(|endpoint| &endpoint.addresses).count(), 1);
    nobody["metadata"]["labels"] = json!({});
    assert!(slice_of(nobody).is_none());
    // A port that DNS cannot say does not hide its neighbours.
    let mut ports = service("shop", "web", "10.96.0.1");
    ports["spec"]["ports"] = json!([
        { "name": "a", "port": 1, "protocol": "QUIC" },
        { "name": "b", "port": 70000 },
        { "name": "C", "port": 3, "protocol": "UDP" },
    ]);
    let ports = service_of(ports).unwrap().ports;
    assert_eq!(ports.iter().map(|port| &*port.name).collect::<Vec<_>>(), ["c"]);
}

#[derive(Clone, Debug)]
enum Step {
    Namespace(bool),
    Service(&'static str, Option<&'static str>),
    Slice(&'static str, Option<(&'static str, Vec<&'static str>)>),
}

fn step() -> impl Strategy<Value = Step> {
    let services = || select(vec!["web", "db", "peers"]);
    let kind = select(vec![Some("10.96.0.1"), Some("10.96.0.2"), Some("None"), None]);
    let addresses = vec(select(vec!["10.244.0.1", "10.244.0.2", "10.244.0.3"]), 0..3);
    prop_oneof![
        any::<bool>().prop_map(Step::Namespace),
        (services(), kind).prop_map(|(name, kind)| Step::Service(name, kind)),
        (select(vec!["a", "b", "c"]), proptest::option::of((services(), addresses)))
            .prop_map(|(name, content)| Step::Slice(name, content)),
    ]
}

fn take(fake: &Fake, step: Step) {
    match step {
        Step::Namespace(true) => fake.put(namespace("shop")),
        Step::Namespace(false) => fake.delete(namespace("shop")),
        Step::Service(name, Some(kind)) => fake.put(service("shop", name, kind)),
        Step::Service(name, None) => fake.delete(service("shop", name, "")),
        Step::Slice(name, Some((service, addresses))) => fake.put(slice("shop", name, service, &addresses)),
        Step::Slice(name, None) => fake.delete(slice("shop", name, "", &[])),
    }
}

/// The answers that a zone made afresh from the objects of the fake gives.
fn answers(zone: &Zone) -> Vec<Verdict> {
    let mut names = vec!["10-244-0-1.shop.pod.cluster.local".to_owned()];
    for service in ["web", "db", "peers"] {
        names.push(format!("{service}.shop.svc.cluster.local"));
        names.push(format!("_http._tcp.{service}.shop.svc.cluster.local"));
        names.extend((1..4).map(|number| format!("10-244-0-{number}.{service}.shop.svc.cluster.local")));
    }
    for number in 1..4 {
        names.extend([format!("{number}.0.244.10.in-addr.arpa"), format!("{number}.0.96.10.in-addr.arpa")]);
    }
    let questions = names.iter().flat_map(|name| ["A", "SRV", "PTR"].map(|wanted| query(&format!("{name} {wanted}"))));
    questions.map(|query| answer(zone, &query)).collect()
}

fn rebuilt(fake: &Fake, serial: u32) -> Zone {
    let objects = |kind| fake.objects(kind).into_iter();
    let snapshot = Snapshot {
        namespaces: objects("Namespace").map(|object| object["metadata"]["name"].as_str().unwrap().into()).collect(),
        services: objects("Service")
            .filter_map(|object| service_in(&serde_json::from_value(object).unwrap()))
            .collect(),
        slices: objects("EndpointSlice")
            .filter_map(|object| slice_in(&serde_json::from_value(object).unwrap()))
            .collect(),
    };
    Zone::build(settings(), &snapshot, serial, true)
}

async fn follows(before: Vec<Step>, after: Vec<Step>) -> TestCaseResult {
    let fake = Fake::new();
    before.into_iter().for_each(|step| take(&fake, step));
    let following = Following::ready(&fake).await;
    for step in after {
        take(&fake, step);
        // Sometimes the observer sees one change, sometimes several at once.
        tokio::task::yield_now().await;
    }
    // Each kind comes in its own order; when the last of each has come, so have all.
    fake.put(namespace("end"));
    fake.put(service("shop", "end", "None"));
    fake.put(slice("shop", "end", "end", &["10.244.0.9"]));
    following.until_data("10-244-0-1.end.pod.cluster.local A", &["10.244.0.1"]).await;
    following.until_data("end.shop.svc.cluster.local A", &["10.244.0.9"]).await;
    let zone = following.zone.load();
    prop_assert_eq!(answers(&zone), answers(&rebuilt(&fake, zone.serial())));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn any_changes_lead_to_what_the_objects_say(before in vec(step(), 0..6), after in vec(step(), 0..12)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(follows(before, after))?;
    }
}
