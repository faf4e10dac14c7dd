//! Tells people what happened to an object: `core/v1` Events, repeated ones counted.
//!
//! In: an object reference, a reason and a message, from anywhere and without waiting. Out:
//! Events in the object's namespace. Never blocks its caller and never fails it: an event that
//! cannot be written is logged and lost. Behaviour of client-go's `tools/record`.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{Event, EventSource, ObjectReference},
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time},
};
use kube::{
    Api, Client, Resource,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::json;
use tokio::sync::mpsc;
use tracing::{debug, warn};

/// Events that wait to be written; more are dropped.
const BACKLOG: usize = 1000;
/// Events that are remembered to count their repetitions.
const REMEMBERED: usize = 1024;
/// The longest a single request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Whether an event is good news.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Severity {
    /// As expected.
    Normal,
    /// Somebody may have to act.
    Warning,
}

impl Severity {
    /// As written in `Event.type`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

/// Records events of one component. Cheap to clone; recording ends when the last clone is gone.
#[derive(Clone)]
pub struct Recorder {
    notes: mpsc::Sender<Note>,
}

#[derive(Debug)]
struct Note {
    object: ObjectReference,
    severity: Severity,
    reason: String,
    message: String,
    at: Timestamp,
}

impl Recorder {
    /// A recorder for `component` (such as `kubelet`) on `host` (a node name, or empty). Spawns
    /// the task that writes.
    pub fn new(client: Client, component: &str, host: &str) -> Self {
        let (notes, incoming) = mpsc::channel(BACKLOG);
        let source =
            EventSource { component: Some(component.to_owned()), host: (!host.is_empty()).then(|| host.to_owned()) };
        tokio::spawn(write_all(client, source, incoming));
        Self { notes }
    }

    /// Records that something happened to the object that `object` names.
    pub fn event(
        &self,
        object: ObjectReference,
        severity: Severity,
        reason: impl Into<String>,
        message: impl Into<String>,
    ) {
        let (reason, message) = (reason.into(), message.into());
        debug!(kind = object.kind, namespace = object.namespace, name = object.name, reason, message, "event");
        if self.notes.try_send(Note { object, severity, reason, message, at: Timestamp::now() }).is_err() {
            warn!("too many events at once; dropping one");
        }
    }

    /// Records that something happened to `object`.
    pub fn about<K: Resource<DynamicType = ()>>(
        &self,
        object: &K,
        severity: Severity,
        reason: impl Into<String>,
        message: impl Into<String>,
    ) {
        self.event(object.object_ref(&()), severity, reason, message);
    }
}

/// What makes two events the same one, repeated.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Sameness {
    kind: Option<String>,
    namespace: Option<String>,
    name: Option<String>,
    uid: Option<String>,
    field_path: Option<String>,
    severity: Severity,
    reason: String,
    message: String,
}

impl Sameness {
    fn of(note: &Note) -> Self {
        Self {
            kind: note.object.kind.clone(),
            namespace: note.object.namespace.clone(),
            name: note.object.name.clone(),
            uid: note.object.uid.clone(),
            field_path: note.object.field_path.clone(),
            severity: note.severity,
            reason: note.reason.clone(),
            message: note.message.clone(),
        }
    }
}

/// An event that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Written {
    name: String,
    count: i32,
}

/// Remembers a bounded number of events.
#[derive(Default)]
struct Memory {
    written: HashMap<Sameness, Written>,
    order: VecDeque<Sameness>,
}

impl Memory {
    fn keep(&mut self, same: Sameness, written: Written) {
        if self.written.insert(same.clone(), written).is_none() {
            self.order.push_back(same);
        }
        while self.order.len() > REMEMBERED {
            if let Some(oldest) = self.order.pop_front() {
                self.written.remove(&oldest);
            }
        }
    }
}

async fn write_all(client: Client, source: EventSource, mut incoming: mpsc::Receiver<Note>) {
    let mut memory = Memory::default();
    while let Some(note) = incoming.recv().await {
        let writing = write(&client, &source, &mut memory, &note);
        match tokio::time::timeout(REQUEST_TIMEOUT, writing).await {
            Ok(Ok(())) => {}
            // Nothing new fits into a namespace on its way out, nor into one that is gone.
            Ok(Err(kube::Error::Api(status))) if status.code == 403 || status.code == 404 => {
                debug!(reason = note.reason, message = status.message, "event refused");
            }
            Ok(Err(error)) => warn!(reason = note.reason, %error, "event lost"),
            Err(_) => warn!(reason = note.reason, "event lost: no answer in time"),
        }
    }
}

async fn write(client: &Client, source: &EventSource, memory: &mut Memory, note: &Note) -> Result<(), kube::Error> {
    let api: Api<Event> = Api::namespaced(client.clone(), namespace(&note.object));
    let same = Sameness::of(note);
    if let Some(before) = memory.written.get(&same).cloned() {
        let again = Written { count: before.count.saturating_add(1), ..before };
        let patch = json!({ "count": again.count, "lastTimestamp": Time(note.at) });
        match api.patch(&again.name, &PatchParams::default(), &Patch::Merge(patch)).await {
            Ok(_) => {
                memory.keep(same, again);
                return Ok(());
            }
            // Events expire; this one starts over.
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(error) => return Err(error),
        }
    }
    let event = event(source, note);
    let name = event.metadata.name.clone().unwrap_or_default();
    api.create(&PostParams::default(), &event).await?;
    memory.keep(same, Written { name, count: 1 });
    Ok(())
}

/// Events about cluster-scoped objects live in `default`.
fn namespace(object: &ObjectReference) -> &str {
    object.namespace.as_deref().filter(|namespace| !namespace.is_empty()).unwrap_or("default")
}

fn event(source: &EventSource, note: &Note) -> Event {
    let object = note.object.name.as_deref().unwrap_or_default();
    Event {
        metadata: ObjectMeta {
            name: Some(format!("{object}.{:x}", note.at.as_nanosecond())),
            namespace: Some(namespace(&note.object).to_owned()),
            ..ObjectMeta::default()
        },
        involved_object: note.object.clone(),
        reason: Some(note.reason.clone()),
        message: Some(note.message.clone()),
        source: Some(source.clone()),
        first_timestamp: Some(Time(note.at)),
        last_timestamp: Some(Time(note.at)),
        count: Some(1),
        type_: Some(note.severity.as_str().to_owned()),
        reporting_component: source.component.clone(),
        reporting_instance: source.host.clone(),
        ..Event::default()
    }
}

#[cfg(test)]
mod tests;
