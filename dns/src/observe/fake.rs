//! An API server in memory that lists and watches, for the three kinds that DNS reads.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use kube::{Client, client::Body};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_stream::{StreamExt, wrappers::WatchStream};

/// The server.
#[derive(Clone)]
pub(crate) struct Fake(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// Told after every change of the state.
    changed: watch::Sender<()>,
    /// Lists of collections that end like this wait.
    held: watch::Sender<&'static str>,
}

#[derive(Default)]
struct State {
    /// The newest object of each kind and key.
    objects: Vec<Value>,
    /// (kind, event); the place of an event, counted from 1, is its revision.
    log: Vec<(String, Value)>,
}

type Answer = UnsyncBoxBody<Bytes, Infallible>;

impl Fake {
    pub(crate) fn new() -> Self {
        let (changed, held) = (watch::Sender::new(()), watch::Sender::new("nothing"));
        Self(Arc::new(Shared { state: Mutex::default(), changed, held }))
    }

    pub(crate) fn client(&self) -> Client {
        let fake = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let fake = fake.clone();
            async move { Ok::<_, Infallible>(fake.answer(request).await) }
        });
        Client::new(service, "default")
    }

    /// Creates or replaces an object.
    pub(crate) fn put(&self, mut object: Value) {
        self.change(|state| {
            let event = if state.remove(&object) { "MODIFIED" } else { "ADDED" };
            object["metadata"]["resourceVersion"] = state.next_revision();
            state.note(event, &object);
            state.objects.push(object);
        });
    }

    /// Deletes an object, which is known by its kind and key.
    pub(crate) fn delete(&self, mut object: Value) {
        self.change(|state| {
            if state.remove(&object) {
                object["metadata"]["resourceVersion"] = state.next_revision();
                state.note("DELETED", &object);
            }
        });
    }

    /// Lists of this plural do not end until another one is held.
    pub(crate) fn hold(&self, plural: &'static str) {
        self.0.held.send_replace(plural);
    }

    /// All objects of a kind.
    pub(crate) fn objects(&self, kind: &str) -> Vec<Value> {
        let state = self.0.state.lock().unwrap();
        state.objects.iter().filter(|object| object["kind"] == kind).cloned().collect()
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.0.state.lock().unwrap());
        self.0.changed.send_replace(());
    }

    async fn answer(&self, request: Request<Body>) -> Response<Answer> {
        let (path, query) = (request.uri().path(), request.uri().query().unwrap_or_default());
        let kind = match path {
            "/api/v1/services" => "Service",
            "/api/v1/namespaces" => "Namespace",
            "/apis/discovery.k8s.io/v1/endpointslices" => "EndpointSlice",
            path => panic!("nobody asked for {path}"),
        };
        if query.contains("watch=true") {
            let from = query.split('&').find_map(|part| part.strip_prefix("resourceVersion=")).unwrap();
            return self.watch(kind, from.parse().unwrap());
        }
        self.0.held.subscribe().wait_for(|held| !path.ends_with(held)).await.unwrap();
        let revision = self.0.state.lock().unwrap().log.len().to_string();
        let list = json!({ "kind": "List", "apiVersion": "v1", "metadata": { "resourceVersion": revision },
                           "items": self.objects(kind) });
        Response::new(Full::from(list.to_string()).boxed_unsync())
    }

    fn watch(&self, kind: &'static str, mut from: usize) -> Response<Answer> {
        let fake = self.clone();
        let frames = WatchStream::new(self.0.changed.subscribe()).map(move |()| {
            let state = fake.0.state.lock().unwrap();
            let fresh = state.log[from..].iter().filter(|(of, _)| of == kind);
            let lines: String = fresh.map(|(_, event)| format!("{event}\n")).collect();
            from = state.log.len();
            Ok::<_, Infallible>(http_body::Frame::data(Bytes::from(lines)))
        });
        Response::new(BodyExt::boxed_unsync(StreamBody::new(frames)))
    }
}

impl State {
    fn next_revision(&self) -> Value {
        (self.log.len() + 1).to_string().into()
    }

    fn note(&mut self, event: &str, object: &Value) {
        self.log.push((object["kind"].as_str().unwrap().to_owned(), json!({ "type": event, "object": object })));
    }

    fn remove(&mut self, object: &Value) -> bool {
        let before = self.objects.len();
        self.objects.retain(|known| key(known) != key(object));
        self.objects.len() < before
    }
}

fn key(object: &Value) -> [&Value; 3] {
    [&object["kind"], &object["metadata"]["namespace"], &object["metadata"]["name"]]
}

/// A Namespace.
pub(crate) fn namespace(name: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } })
}

/// A Service with a cluster address, or a headless one for `None`.
pub(crate) fn service(namespace: &str, name: &str, address: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "namespace": namespace, "name": name },
            "spec": { "clusterIP": address, "clusterIPs": [address], "ports": [{ "name": "http", "port": 80 }] } })
}

/// An EndpointSlice of ready endpoints.
pub(crate) fn slice(namespace: &str, name: &str, service: &str, addresses: &[&str]) -> Value {
    let endpoints: Vec<Value> = addresses.iter().map(|address| json!({ "addresses": [address] })).collect();
    json!({ "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": { "namespace": namespace, "name": name, "labels": { "kubernetes.io/service-name": service } },
            "ports": [{ "name": "http", "port": 80, "protocol": "TCP" }], "endpoints": endpoints })
}
