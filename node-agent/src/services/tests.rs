use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use k8s_openapi::api::{core::v1::Service, discovery::v1::EndpointSlice};
use nodeplane_client::{fake::Fake, recorder::Recorder};
use serde_json::{Value, json};
use tokio::{task::yield_now, time::timeout};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    dataplane::fake::FakeDataplane,
    model::Services,
    observe::Sources,
    plan::{Held, Image, Limits},
};

const NODE: &str = "node-1";
const SERVICES: &str = "/api/v1/services";
const SLICES: &str = "/apis/discovery.k8s.io/v1/endpointslices";
const PODS: &str = "/api/v1/pods";
const NODES: &str = "/api/v1/nodes";
const SERVICE: &str = "/api/v1/namespaces/default/services/web";
const SLICE: &str = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/web-1";

/// A cluster with one Service, and a plane that nothing was written to yet.
struct Stage {
    api: Fake,
    dataplane: FakeDataplane,
    sources: Sources,
    feed: Arc<Feed>,
    stop: CancellationToken,
}

impl Stage {
    fn start(api: Fake, dataplane: FakeDataplane) -> Self {
        let sources = Sources::watch(&api.client(), NODE);
        let plane = Arc::new(ServicePlane::new(dataplane.clone()));
        let recorder = Recorder::new(api.client(), "kubelet", NODE);
        let feed = Arc::new(Feed::new(sources.clone(), plane, recorder, NODE));
        let stop = CancellationToken::new();
        tokio::spawn({
            let (feed, stop) = (feed.clone(), stop.clone());
            async move { feed.run(&stop).await }
        });
        Self { api, dataplane, sources, feed, stop }
    }

    /// Looks after every sync until something is so.
    async fn until(&self, what: &str, so: impl Fn(&Self) -> bool) {
        let mut changed = self.feed.changed();
        let wait = async {
            while !so(self) {
                changed.changed().await.expect("the feed lives");
            }
        };
        assert!(timeout(Duration::from_secs(20), wait).await.is_ok(), "never: {what}: {:?}", self.feed.progress());
    }

    fn backends(&self) -> usize {
        self.dataplane.state().image.backends.len()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn cluster() -> Fake {
    let api = Fake::default();
    api.put(SERVICE, service(&json!({})));
    api.put(SLICE, slice("web", &[("10.244.1.2", NODE)]));
    api.put("/api/v1/nodes/node-1", json!({ "kind": "Node", "apiVersion": "v1", "metadata": {} }));
    api
}

fn service(more: &Value) -> Value {
    let mut service = json!({
        "kind": "Service", "apiVersion": "v1",
        "metadata": { "annotations": { "a": "b" }, "labels": { "app": "web" } },
        "spec": { "clusterIP": "10.96.0.7", "selector": { "app": "web" }, "ports": [{ "port": 80, "targetPort": 8080 }] }
    });
    for (name, value) in more.as_object().expect("fields") {
        service["spec"][name] = value.clone();
    }
    service
}

fn slice(service: &str, endpoints: &[(&str, &str)]) -> Value {
    let endpoints: Vec<_> =
        endpoints.iter().map(|(address, node)| json!({ "addresses": [address], "nodeName": node })).collect();
    json!({
        "kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1",
        "metadata": { "labels": { "kubernetes.io/service-name": service, "other": "label" } },
        "addressType": "IPv4", "ports": [{ "port": 8080 }], "endpoints": endpoints
    })
}

#[tokio::test]
async fn nothing_is_written_before_every_list_is_there() {
    for withheld in [SERVICES, SLICES, PODS, NODES] {
        let api = cluster();
        api.withhold(withheld);
        // What an earlier agent served, and serves while this one learns.
        let earlier = earlier();
        let stage = Stage::start(api, FakeDataplane::holding(earlier.clone()));
        // The others are complete, and hear of changes.
        for number in 2..6 {
            stage.api.put(&format!("{SLICE}{number}"), slice("web", &[("10.244.1.9", NODE)]));
            for _ in 0..100 {
                yield_now().await;
            }
        }
        let sources = &stage.sources;
        let complete = [
            sources.services.objects.is_ready(),
            sources.services.slices.is_ready(),
            sources.pods.is_ready(),
            sources.node.is_ready(),
        ];
        assert_eq!(complete.iter().filter(|ready| **ready).count(), 3, "{withheld}");
        assert_eq!(stage.dataplane.state().image, earlier, "{withheld}");
        assert_eq!((stage.feed.progress().syncs, stage.dataplane.state().settled), (0, 0), "{withheld}");

        stage.api.release();
        stage.until("the first sync", |stage| stage.dataplane.state().settled == 1).await;
        assert!(
            stage.dataplane.state().image.frontends.keys().all(|key| key.addr == Ipv4Addr::new(10, 96, 0, 7).into())
        );
        stage.until("all backends", |stage| stage.backends() == 2).await;
    }
}

fn earlier() -> Image {
    let service = |address: &str| {
        let mut service: Service =
            serde_json::from_value(service(&json!({ "clusterIP": address }))).expect("a Service");
        (service.metadata.namespace, service.metadata.name) = (Some("default".into()), Some(format!("at-{address}")));
        service
    };
    let services = Services::build([service("10.96.0.8"), service("10.96.0.9")], Vec::<EndpointSlice>::new(), NODE);
    let mut held = Held::restore(Image::default());
    held.whole(&services.frontends().collect::<Vec<_>>(), &Limits::MAPS);
    held.image().clone()
}

#[tokio::test]
async fn changes_of_services_and_slices_reach_the_maps() {
    let stage = Stage::start(cluster(), FakeDataplane::default());
    stage.until("the first backend", |stage| stage.backends() == 1).await;
    stage.api.put(SLICE, slice("web", &[("10.244.1.2", NODE), ("10.244.2.2", "node-2"), ("10.244.2.3", "node-2")]));
    stage.until("three backends", |stage| stage.backends() == 3).await;
    // The node is known to the slices that are kept in memory.
    stage.api.put(SERVICE, service(&json!({ "internalTrafficPolicy": "Local" })));
    stage.until("the backend of this node", |stage| stage.backends() == 1).await;
    stage.api.remove(SERVICE);
    stage.until("nothing", |stage| stage.dataplane.state().image == Image::default()).await;
}

#[tokio::test]
async fn services_of_another_proxy_are_left_alone() {
    let api = cluster();
    let mut other = service(&json!({ "clusterIP": "10.96.0.8" }));
    other["metadata"]["labels"] = json!({ "service.kubernetes.io/service-proxy-name": "other" });
    api.put("/api/v1/namespaces/default/services/other", other);
    let stage = Stage::start(api, FakeDataplane::default());
    stage.until("the first sync", |stage| stage.feed.progress().syncs == 1).await;
    assert_eq!(stage.feed.progress().last.map(|last| last.frontends), Some(1));
}

#[tokio::test]
async fn a_failed_sync_is_told_and_tried_again() {
    let dataplane = FakeDataplane::default();
    dataplane.state().fail_after = Some(1);
    let stage = Stage::start(cluster(), dataplane);
    stage.until("a failure", |stage| stage.feed.progress().failures == 1).await;
    let error = stage.feed.progress().error.expect("an error");
    assert!(error.contains("told to fail"), "{error}");
    stage.until("a sync", |stage| stage.feed.progress().syncs == 1).await;
    assert_eq!((stage.feed.progress().error, stage.backends()), (None, 1));
}

#[tokio::test]
async fn a_storm_of_changes_costs_what_the_changes_do() {
    const CHANGES: usize = 400;

    let stage = Stage::start(cluster(), FakeDataplane::default());
    stage.until("the first sync", |stage| stage.feed.progress().syncs == 1).await;
    for number in 0..CHANGES {
        let address = format!("10.244.{}.{}", 10 + number / 200, 1 + number % 200);
        stage.api.put(&format!("{SLICE}-{number}"), slice("web", &[(&address, NODE)]));
    }
    stage.until("all of them", |stage| stage.backends() == CHANGES + 1).await;
    assert!(stage.feed.progress().syncs <= CHANGES as u64 + 1);
    let operations = stage.dataplane.state().applied.len();
    assert!(operations <= 3 * CHANGES + 4, "a backend, its slot and the count for each: {operations}");
}

#[tokio::test]
async fn a_service_without_room_is_told_and_the_others_are_served() {
    let api = cluster();
    let mut newer = service(&json!({ "clusterIP": "10.96.0.8" }));
    newer["metadata"]["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
    api.put("/api/v1/namespaces/default/services/newer", newer);
    let dataplane = FakeDataplane::default();
    dataplane.state().capacity = Some(Limits { frontends: 3, slots: 9, backends: 9 });
    let stage = Stage::start(api, dataplane);
    stage.until("the first sync", |stage| stage.feed.progress().syncs == 1).await;
    let Progress { failures, last, left_out, error, .. } = stage.feed.progress();
    assert_eq!((failures, last.map(|last| last.frontends), error), (0, Some(1), None));
    let told: Vec<String> = left_out.iter().map(ToString::to_string).collect();
    assert_eq!(told, ["Service default/newer: no room for 1 ports: the node serves 3 at most"]);
    let event = async {
        while stage.api.count("/api/v1/namespaces/default/events/") == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(Duration::from_secs(20), event).await.expect("an event");
    // Changes of others still arrive, and the room that another one leaves is used.
    stage.api.put(SLICE, slice("web", &[("10.244.1.2", NODE), ("10.244.2.2", "node-2")]));
    stage.until("two backends", |stage| stage.backends() == 2).await;
    stage.api.remove(SERVICE);
    stage.until("its place is taken", |stage| stage.feed.progress().left_out.is_empty()).await;
}
