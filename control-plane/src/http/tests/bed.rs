//! An API server without a network.

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{StreamExt, stream::BoxStream};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use nodeplane_api::kinds::{KINDS, Kind};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use serde_json::{Value, json};

use crate::{
    http::{
        Api,
        authn::Caller,
        bounds::Bounds,
        call::{Call, Query},
        reply::{Body, BodyError, Reply},
    },
    pki::Pki,
    registry::{Registry, RegistryConfig, objects::Objects},
    store::{Store, embedded::EmbeddedStore, keys::Keys, watch_cache::WatchCache},
    tokens::Tokens,
};

pub(in crate::http) const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";
pub(in crate::http) const PREFIX: &str = "/registry";
pub(in crate::http) const JSON_PATCH: &str = "application/json-patch+json";
pub(in crate::http) const MERGE_PATCH: &str = "application/merge-patch+json";
pub(in crate::http) const STRATEGIC: &str = "application/strategic-merge-patch+json";
pub(in crate::http) const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";

/// How long a stream may be silent when something is expected of it.
pub(in crate::http) const PATIENCE: Duration = Duration::from_secs(20);

/// A server with the namespace `default` and its service account.
pub(in crate::http) struct Bed {
    pub(in crate::http) api: Arc<Api>,
    pub(in crate::http) store: Arc<dyn Store>,
    pub(in crate::http) pki: Pki,
    _state: tempfile::TempDir,
}

impl Bed {
    pub(in crate::http) async fn start() -> Self {
        let state = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open(&state.path().join("store.redb")).unwrap());
        let pki = Pki::open(&state.path().join("pki")).unwrap();
        let api = serve(&store, &pki, Bounds::default());
        let bed = Self { api, store, pki, _state: state };
        bed.post("/api/v1/namespaces", json!({ "metadata": { "name": "default" } })).await.created();
        let account = json!({ "metadata": { "name": "default" } });
        bed.post("/api/v1/namespaces/default/serviceaccounts", account).await.created();
        bed
    }

    /// Another server on the same store. It remembers nothing of the time before.
    pub(in crate::http) fn restart(&mut self) {
        self.api.stop.cancel();
        self.api = serve(&self.store, &self.pki, Bounds::default());
    }

    /// The same server within other bounds.
    pub(in crate::http) fn limit(&mut self, bounds: Bounds) {
        self.api.stop.cancel();
        self.api = serve(&self.store, &self.pki, bounds);
    }

    /// A certificate that the server takes.
    pub(in crate::http) fn certificate(&self, user: &str, groups: &[&str]) -> CertificateDer<'static> {
        let identity = self.pki.client(user, groups).unwrap();
        CertificateDer::from_pem_slice(identity.cert_pem.as_bytes()).unwrap()
    }

    pub(in crate::http) async fn get(&self, path: &str) -> Answer {
        self.send(Ask::new(Method::GET, path)).await
    }

    pub(in crate::http) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Ask::new(Method::POST, path).body(&body)).await
    }

    pub(in crate::http) async fn put(&self, path: &str, body: Value) -> Answer {
        self.send(Ask::new(Method::PUT, path).body(&body)).await
    }

    pub(in crate::http) async fn patch(&self, path: &str, media_type: &str, body: Value) -> Answer {
        self.send(Ask::new(Method::PATCH, path).body(&body).header(header::CONTENT_TYPE, media_type)).await
    }

    pub(in crate::http) async fn delete(&self, path: &str) -> Answer {
        self.send(Ask::new(Method::DELETE, path)).await
    }

    pub(in crate::http) async fn delete_with(&self, path: &str, options: Value) -> Answer {
        self.send(Ask::new(Method::DELETE, path).body(&options)).await
    }

    /// Calls as an administrator.
    pub(in crate::http) async fn send(&self, ask: Ask) -> Answer {
        Answer::of(self.reply(Caller::component("admin"), ask).await)
    }

    pub(in crate::http) async fn reply(&self, caller: Caller, ask: Ask) -> Reply {
        self.api.answer_to(caller, ask.0).await
    }

    pub(in crate::http) async fn watch(&self, path: &str) -> Events {
        self.watch_with(Ask::new(Method::GET, path)).await
    }

    pub(in crate::http) async fn watch_with(&self, ask: Ask) -> Events {
        let reply = self.reply(Caller::component("admin"), ask).await;
        match reply.body {
            Body::Growing(stream) => Events { stream, rest: Vec::new() },
            Body::Whole(bytes) => panic!("not a watch: {} {}", reply.status, String::from_utf8_lossy(&bytes)),
        }
    }
}

fn serve(store: &Arc<dyn Store>, pki: &Pki, bounds: Bounds) -> Arc<Api> {
    let cache = WatchCache::start(store.clone(), &Keys::new(PREFIX));
    let identity = pki.client("kube-apiserver-kubelet-client", &["system:masters"]).unwrap();
    let config = RegistryConfig { keys: Keys::new(PREFIX), service_cidr: (Ipv4Addr::new(10, 96, 0, 0), 24) };
    let api = Api::new(
        Objects::new(store.clone(), cache, Keys::new(PREFIX)),
        Arc::new(Registry::new(store.clone(), config)),
        "127.0.0.1:6443".to_owned(),
        Arc::new(pki.client_config(&identity).unwrap()),
        Tokens::open(pki, vec![ISSUER.to_owned()], vec![ISSUER.to_owned()]).unwrap(),
    );
    Arc::new(api.within(bounds))
}

impl Drop for Bed {
    fn drop(&mut self) {
        self.api.stop.cancel();
    }
}

/// A call under construction.
pub(in crate::http) struct Ask(pub(in crate::http) Call);

impl Ask {
    /// `path` may have a query.
    pub(in crate::http) fn new(method: Method, path: &str) -> Self {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let (path, query) = (path.to_owned(), Query::parse(query));
        Self(Call { method, path, query, headers: HeaderMap::new(), body: Bytes::new(), from: None })
    }

    pub(in crate::http) fn body(self, body: &Value) -> Self {
        self.raw_body(body.to_string())
    }

    pub(in crate::http) fn raw_body(mut self, body: impl Into<Bytes>) -> Self {
        self.0.body = body.into();
        self
    }

    pub(in crate::http) fn header(mut self, name: HeaderName, value: &str) -> Self {
        self.0.headers.insert(name, HeaderValue::from_str(value).unwrap());
        self
    }
}

/// An answer that was read to its end.
#[derive(Debug)]
pub(in crate::http) struct Answer {
    pub(in crate::http) code: u16,
    pub(in crate::http) headers: HeaderMap,
    pub(in crate::http) bytes: Bytes,
    pub(in crate::http) text: String,
    pub(in crate::http) body: Value,
}

impl Answer {
    pub(in crate::http) fn of(reply: Reply) -> Self {
        let Body::Whole(bytes) = reply.body else { panic!("a stream") };
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Self { code: reply.status.as_u16(), headers: reply.headers, bytes, text, body }
    }

    #[track_caller]
    pub(in crate::http) fn ok(self) -> Value {
        assert_eq!(self.code, 200, "{}", self.text);
        self.body
    }

    #[track_caller]
    pub(in crate::http) fn created(self) -> Value {
        assert_eq!(self.code, 201, "{}", self.text);
        self.body
    }

    /// The message of a failure with this code and reason.
    #[track_caller]
    pub(in crate::http) fn failed(self, code: u16, reason: &str) -> String {
        assert_eq!((self.code, self.body["reason"].as_str().unwrap_or_default()), (code, reason), "{}", self.text);
        assert_eq!(self.body["kind"], "Status");
        assert_eq!(self.body["status"], "Failure");
        assert_eq!(self.body["code"], code);
        self.body["message"].as_str().unwrap().to_owned()
    }

    /// What clients take for a path that the server does not know.
    #[track_caller]
    pub(in crate::http) fn no_such_path(self) {
        assert_eq!((self.code, self.text.as_str()), (404, "404 page not found\n"));
        assert_eq!(self.headers[header::CONTENT_TYPE], "text/plain; charset=utf-8");
    }

    pub(in crate::http) fn warnings(&self) -> Vec<String> {
        self.headers.get_all(header::WARNING).iter().map(|value| value.to_str().unwrap().to_owned()).collect()
    }
}

/// The events of a watch.
pub(in crate::http) struct Events {
    stream: BoxStream<'static, Result<Bytes, BodyError>>,
    rest: Vec<u8>,
}

impl Events {
    /// The next event; `None` when the watch has ended.
    pub(in crate::http) async fn maybe_next(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                let event: Value = serde_json::from_slice(&line).unwrap();
                return Some((event["type"].as_str().unwrap().to_owned(), event["object"].clone()));
            }
            let piece = tokio::time::timeout(PATIENCE, self.stream.next()).await.expect("the watch is silent")?;
            self.rest.extend_from_slice(&piece.unwrap());
        }
    }

    /// The next bytes, whatever they frame.
    pub(in crate::http) async fn bytes(&mut self, count: usize) -> Vec<u8> {
        while self.rest.len() < count {
            let piece = tokio::time::timeout(PATIENCE, self.stream.next()).await.expect("the watch is silent");
            self.rest.extend_from_slice(&piece.expect("the watch ended").unwrap());
        }
        self.rest.drain(..count).collect()
    }

    /// The next bytes as they were handed over.
    pub(in crate::http) async fn piece(&mut self) -> Bytes {
        let piece = tokio::time::timeout(PATIENCE, self.stream.next()).await.expect("the watch is silent");
        piece.expect("the watch ended").unwrap()
    }

    pub(in crate::http) async fn next(&mut self) -> (String, Value) {
        self.maybe_next().await.expect("the watch ended")
    }

    /// The next event, as its type and the name of its object.
    pub(in crate::http) async fn next_name(&mut self) -> (String, String) {
        let (event, object) = self.next().await;
        (event, object["metadata"]["name"].as_str().unwrap_or_default().to_owned())
    }
}

/// The path of all objects of a kind, in `default` when it is namespaced.
pub(in crate::http) fn collection(kind: &Kind) -> String {
    let root = if kind.group.is_empty() { "/api/v1".to_owned() } else { format!("/apis/{}", kind.api_version()) };
    let place = if kind.is_namespaced() { "/namespaces/default" } else { "" };
    format!("{root}{place}/{}", kind.plural)
}

pub(in crate::http) fn kind(plural: &str) -> &'static Kind {
    KINDS.iter().find(|kind| kind.plural == plural).unwrap()
}

pub(in crate::http) fn rv(object: &Value) -> u64 {
    object["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap()
}

pub(in crate::http) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

pub(in crate::http) const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";
pub(in crate::http) const PODS: &str = "/api/v1/namespaces/default/pods";
pub(in crate::http) const SERVICES: &str = "/api/v1/namespaces/default/services";
pub(in crate::http) const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";

pub(in crate::http) fn config_map(name: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name }, "data": { "a": "1" } })
}

pub(in crate::http) fn pod(name: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name },
            "spec": { "containers": [{ "name": "c", "image": "i" }] } })
}

pub(in crate::http) fn deployment(name: &str) -> Value {
    json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": name }, "spec": {
        "selector": { "matchLabels": { "app": name } },
        "template": { "metadata": { "labels": { "app": name } },
                      "spec": { "containers": [{ "name": "c", "image": "i" }] } } } })
}

pub(in crate::http) fn service(name: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "name": name },
            "spec": { "selector": { "app": name }, "ports": [{ "port": 80 }] } })
}
