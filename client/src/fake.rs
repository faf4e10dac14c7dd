//! An API server in memory for tests: objects by path, one revision counter, lists and watches
//! with the faults that real ones have.

use std::{
    collections::{BTreeMap, VecDeque},
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard},
};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use kube::client::Body;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_stream::StreamExt as _;

/// The server.
#[derive(Clone, Default)]
pub struct Fake(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// Told after every change of the state.
    changed: watch::Sender<u64>,
}

impl Default for Shared {
    fn default() -> Self {
        Self { state: Mutex::default(), changed: watch::Sender::new(0) }
    }
}

#[derive(Default)]
struct State {
    revision: u64,
    objects: BTreeMap<String, Value>,
    /// (revision, collection path, event)
    log: Vec<(u64, String, Value)>,
    /// Watches from before this revision are refused.
    compacted: u64,
    /// All watches are refused as coming from too old a revision.
    expires_watches: bool,
    /// Watches of this collection deliver events up to this revision only.
    held_at: Option<(String, u64)>,
    /// Lists of these collections, and creations in them, wait.
    withheld: Vec<String>,
    /// Watches of an older epoch end.
    epoch: u64,
    /// Refusals for the next writes: code, reason.
    refusals: VecDeque<(u16, &'static str)>,
    /// `METHOD path` of every request that is not a watch.
    requests: Vec<String>,
}

impl Fake {
    /// A client that talks to this server.
    pub fn client(&self) -> kube::Client {
        let fake = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let fake = fake.clone();
            async move { Ok::<_, Infallible>(fake.answer(request).await) }
        });
        kube::Client::new(service, "default")
    }

    /// Puts an object behind the back of all clients; watchers are told.
    pub fn put(&self, path: &str, object: Value) {
        self.change(|state| drop(state.store(path, object)));
    }

    /// Removes an object; watchers are told.
    pub fn remove(&self, path: &str) {
        self.change(|state| drop(state.remove(path)));
    }

    /// How many objects have a path that begins so.
    pub fn count(&self, prefix: &str) -> usize {
        self.state().objects.keys().filter(|path| path.starts_with(prefix)).count()
    }

    /// The object at a path.
    pub fn get(&self, path: &str) -> Option<Value> {
        self.state().objects.get(path).cloned()
    }

    /// `METHOD path` of every request so far that is not a watch.
    pub fn requests(&self) -> Vec<String> {
        self.state().requests.clone()
    }

    /// Refuses the next write.
    pub fn refuse(&self, code: u16, reason: &'static str) {
        self.state().refusals.push_back((code, reason));
    }

    /// Watches of a collection stand still from now on.
    pub fn hold(&self, collection: &str) {
        self.change(|state| state.held_at = Some((collection.to_owned(), state.revision)));
    }

    /// Lists of a collection and creations in it are not answered from now on.
    pub fn withhold(&self, collection: &str) {
        self.change(|state| state.withheld.push(collection.to_owned()));
    }

    /// Lists of a collection and creations in it are answered again.
    pub fn answer_again(&self, collection: &str) {
        self.change(|state| state.withheld.retain(|withheld| withheld != collection));
    }

    /// Watches catch up, and everything is answered.
    pub fn release(&self) {
        self.change(|state| {
            state.held_at = None;
            state.withheld.clear();
        });
    }

    /// All watches end, and nobody can go on from a revision of before now.
    pub fn disconnect_and_compact(&self) {
        self.change(|state| {
            state.epoch += 1;
            state.revision += 1;
            state.compacted = state.revision;
        });
    }

    /// Whether every watch from now on is refused as coming from too old a revision.
    pub fn expire_watches(&self, expire: bool) {
        self.change(|state| state.expires_watches = expire);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap()
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.0.changed.send_modify(|n| *n += 1);
    }

    async fn answer(&self, request: Request<Body>) -> Response<Answer> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let body: Value = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() };
        let path = parts.uri.path().to_owned();
        let query = parts.uri.query().unwrap_or_default();
        if query.contains("watch=true") {
            let from = query.split('&').find_map(|q| q.strip_prefix("resourceVersion=")).unwrap().parse().unwrap();
            return self.watch(path, from);
        }
        // Whoever is told of changes from now on sees the one that lets the list go.
        let mut changed = self.0.changed.subscribe();
        while self.state().withheld.contains(&path) && changed.changed().await.is_ok() {}
        let mut answer = None;
        self.change(|state| answer = Some(state.answer(&parts.method, &path, body)));
        match answer.unwrap() {
            Ok(value) => reply(200, &value),
            Err((code, reason)) => reply(code, &status(code, reason)),
        }
    }

    fn watch(&self, path: String, mut from: u64) -> Response<Answer> {
        if from < self.state().compacted || self.state().expires_watches {
            return reply(410, &status(410, "Expired"));
        }
        let epoch = self.state().epoch;
        let fake = self.clone();
        let changes = tokio_stream::wrappers::WatchStream::new(self.0.changed.subscribe());
        let frames = changes
            .take_while({
                let fake = self.clone();
                move |_| fake.state().epoch == epoch
            })
            .map(move |_| {
                let state = fake.state();
                let held = state.held_at.as_ref().filter(|(collection, _)| *collection == path);
                let until = held.map_or(u64::MAX, |(_, at)| *at);
                let fresh =
                    state.log.iter().filter(|(at, place, _)| *at > from && *at <= until && lies_in(place, &path));
                let lines: String = fresh.map(|(_, _, event)| format!("{event}\n")).collect();
                from = from.max(state.revision.min(until));
                Ok::<_, Infallible>(http_body::Frame::data(Bytes::from(lines)))
            });
        Response::new(BodyExt::boxed_unsync(StreamBody::new(frames)))
    }
}

type Refusal = (u16, &'static str);

type Answer = UnsyncBoxBody<Bytes, Infallible>;

impl State {
    fn answer(&mut self, method: &Method, path: &str, body: Value) -> Result<Value, Refusal> {
        self.requests.push(format!("{method} {path}"));
        // Of all subresources only these are known here, and they are part of the object.
        let path = path.strip_suffix("/status").or_else(|| path.strip_suffix("/finalize")).unwrap_or(path);
        if *method != Method::GET
            && let Some(refusal) = self.refusals.pop_front()
        {
            return Err(refusal);
        }
        match method.as_str() {
            "GET" if self.objects.contains_key(path) => Ok(self.objects[path].clone()),
            "GET" if is_collection(path) => Ok(self.list(path)),
            "POST" => {
                let name = match body["metadata"]["name"].as_str() {
                    Some(name) => name.to_owned(),
                    None => format!("{}{}", body["metadata"]["generateName"].as_str().unwrap(), self.revision),
                };
                let path = format!("{path}/{name}");
                if self.objects.contains_key(&path) {
                    return Err((409, "AlreadyExists"));
                }
                Ok(self.store(&path, body))
            }
            "PUT" | "PATCH" => {
                let old = self.objects.get(path).ok_or((404, "NotFound"))?;
                let expected = &body["metadata"]["resourceVersion"];
                if !expected.is_null() && *expected != old["metadata"]["resourceVersion"] {
                    return Err((409, "Conflict"));
                }
                let mut object = if method == Method::PUT { Value::Null } else { old.clone() };
                merge(&mut object, body);
                Ok(self.store(path, object))
            }
            "DELETE" if !self.objects.contains_key(path) && is_collection(path) => {
                let all: Vec<_> = self.objects.keys().filter(|p| collection(p) == path).cloned().collect();
                all.iter().for_each(|path| drop(self.remove(path)));
                Ok(status(200, "Success"))
            }
            "DELETE" => self.remove(path).ok_or((404, "NotFound")),
            _ => Err((404, "NotFound")),
        }
    }

    fn list(&self, path: &str) -> Value {
        let items: Vec<_> = self.objects.iter().filter(|(p, _)| lies_in(collection(p), path)).map(|(_, o)| o).collect();
        json!({ "kind": "List", "apiVersion": "v1", "items": items,
                "metadata": { "resourceVersion": self.revision.to_string() } })
    }

    fn store(&mut self, path: &str, mut object: Value) -> Value {
        self.revision += 1;
        let old = self.objects.get(path);
        let uid = old.map_or_else(|| format!("uid-{}", self.revision).into(), |old| old["metadata"]["uid"].clone());
        let event = if old.is_some() { "MODIFIED" } else { "ADDED" };
        object["metadata"]["name"] = path.rsplit('/').next().unwrap().into();
        if let ["namespaces", namespace, _, _] = *parts(path).as_slice() {
            object["metadata"]["namespace"] = namespace.into();
        }
        object["metadata"]["uid"] = uid;
        object["metadata"]["resourceVersion"] = self.revision.to_string().into();
        self.objects.insert(path.to_owned(), object.clone());
        self.log.push((self.revision, collection(path).to_owned(), json!({ "type": event, "object": object })));
        object
    }

    fn remove(&mut self, path: &str) -> Option<Value> {
        let mut object = self.objects.remove(path)?;
        self.revision += 1;
        object["metadata"]["resourceVersion"] = self.revision.to_string().into();
        self.log.push((self.revision, collection(path).to_owned(), json!({ "type": "DELETED", "object": object })));
        Some(object)
    }
}

fn merge(target: &mut Value, patch: Value) {
    match patch {
        Value::Object(fields) => {
            if !target.is_object() {
                *target = json!({});
            }
            for (name, value) in fields {
                merge(&mut target[name], value);
            }
        }
        other => *target = other,
    }
}

fn collection(path: &str) -> &str {
    path.rsplit_once('/').unwrap().0
}

/// The parts of a path behind group and version.
fn parts(path: &str) -> Vec<&str> {
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    parts[if parts.first() == Some(&"api") { 2 } else { 3 }..].to_vec()
}

fn is_collection(path: &str) -> bool {
    matches!(parts(path).as_slice(), [_] | ["namespaces", _, _])
}

/// Whether objects of collection `place` are listed by `path`: that one, or that of all namespaces.
fn lies_in(place: &str, path: &str) -> bool {
    let everywhere = || match *parts(place).as_slice() {
        ["namespaces", namespace, plural] => {
            place.replace(&format!("/namespaces/{namespace}/{plural}"), &format!("/{plural}"))
        }
        _ => place.to_owned(),
    };
    place == path || everywhere() == path
}

fn status(code: u16, reason: &str) -> Value {
    json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "message": reason, "reason": reason, "code": code })
}

fn reply(code: u16, value: &Value) -> Response<Answer> {
    Response::builder().status(code).body(Full::from(value.to_string()).boxed_unsync()).unwrap()
}
