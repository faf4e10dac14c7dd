//! A container engine in memory: it records what was asked of it, fails when told to, and its
//! containers end when told to. Its clock stands where it is set.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use jiff::Timestamp;
use tokio::sync::broadcast;

use super::{
    Container, ContainerRuntime, ContainerSpec, ContainerState, Credentials, ExecResult, Exit, Image, LogOptions,
    Observed, PodId, PodRecord, RuntimeError, RuntimeVersion, Sandbox, SandboxSpec,
};

/// What a container that is killed ends with.
const KILLED: i32 = 137;
/// What a container that ends when it is asked to ends with.
const TERMINATED: i32 = 143;
/// Events that a slow reader may lag behind.
const BACKLOG: usize = 1024;

/// Clones share one engine.
#[derive(Clone)]
pub struct FakeRuntime {
    state: Arc<Mutex<State>>,
    events: Arc<Mutex<Option<broadcast::Sender<String>>>>,
}

/// Everything that a fake knows.
#[derive(Debug, Default)]
pub struct State {
    /// What it was asked to change, such as `start app`, in order.
    pub calls: Vec<String>,
    /// Sandboxes by id.
    pub sandboxes: BTreeMap<String, (PodId, Sandbox)>,
    /// Containers by id, with what they were made from.
    pub containers: BTreeMap<String, (PodId, Container, ContainerSpec)>,
    /// Images that are present.
    pub images: HashMap<String, Image>,
    /// Images that can be pulled.
    pub registry: HashMap<String, Image>,
    /// What containers wrote, by name.
    pub logs: HashMap<String, String>,
    /// Containers that end as soon as they start, by name.
    pub short_lived: HashMap<String, i32>,
    /// What commands come to, by their words.
    pub commands: HashMap<String, ExecResult>,
    /// Commands that never end, by their words.
    pub hanging: HashSet<String>,
    /// How long commands were given, by their words.
    pub limits: HashMap<String, Duration>,
    /// The next calls that begin with these words fail so.
    pub failures: VecDeque<(String, RuntimeError)>,
    /// Nothing is answered.
    pub is_down: bool,
    /// The time; the true one when not set.
    pub now: Option<Timestamp>,
    made: u32,
}

impl Default for FakeRuntime {
    fn default() -> Self {
        let events = Some(broadcast::Sender::new(BACKLOG));
        Self { state: Arc::default(), events: Arc::new(Mutex::new(events)) }
    }
}

impl State {
    fn time(&self) -> Timestamp {
        self.now.unwrap_or_else(Timestamp::now)
    }

    fn call(&mut self, call: String) -> Result<(), RuntimeError> {
        if self.is_down {
            return Err(RuntimeError::Unavailable("the engine is down".to_owned()));
        }
        let planned = self.failures.iter().position(|(words, _)| call.starts_with(words.as_str()));
        self.calls.push(call);
        match planned.and_then(|index| self.failures.remove(index)) {
            Some((_, error)) => Err(error),
            None => Ok(()),
        }
    }

    fn up(&self) -> Result<(), RuntimeError> {
        if self.is_down { Err(RuntimeError::Unavailable("the engine is down".to_owned())) } else { Ok(()) }
    }

    fn new_id(&mut self) -> String {
        self.made += 1;
        format!("{:064x}", self.made)
    }

    fn end(&mut self, id: &str, code: i32) -> Option<String> {
        let finished = self.time();
        if let Some((pod, sandbox)) = self.sandboxes.get_mut(id) {
            return sandbox.pid.take().map(|_| pod.uid.clone());
        }
        let (pod, container, _) = self.containers.get_mut(id)?;
        let ContainerState::Running { started } = container.state else { return None };
        let reason = if code == 0 { "Completed" } else { "Error" }.to_owned();
        let exit = Exit { code, reason, message: String::new(), started: Some(started), finished };
        container.state = ContainerState::Exited(exit);
        Some(pod.uid.clone())
    }

    fn name(&self, id: &str) -> String {
        self.containers.get(id).map_or_else(|| "POD".to_owned(), |(_, container, _)| container.name.clone())
    }
}

impl FakeRuntime {
    /// Everything, to look at and to change.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An engine that has these images.
    pub fn with_images(references: &[&str]) -> Self {
        let fake = Self::default();
        let images = references.iter().map(|reference| ((*reference).to_owned(), image(reference)));
        fake.state().images.extend(images);
        fake
    }

    /// The next call that begins with `words` fails.
    pub fn fail(&self, words: &str, error: RuntimeError) {
        self.state().failures.push_back((words.to_owned(), error));
    }

    /// A container or sandbox ends by itself.
    pub fn end(&self, id: &str, code: i32) {
        let uid = self.state().end(id, code);
        self.tell(uid);
    }

    /// The id of the newest container of this name.
    pub fn id_of(&self, name: &str) -> Option<String> {
        let state = self.state();
        let all = state.containers.values().filter(|(_, container, _)| container.name == name);
        all.max_by_key(|(_, container, _)| container.attempt).map(|(_, container, _)| container.id.clone())
    }

    /// The engine goes away; its event streams end.
    pub fn go_down(&self) {
        self.state().is_down = true;
        self.sender().take();
    }

    /// The engine is back.
    pub fn come_back(&self) {
        *self.sender() = Some(broadcast::Sender::new(BACKLOG));
        self.state().is_down = false;
    }

    fn sender(&self) -> MutexGuard<'_, Option<broadcast::Sender<String>>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, uid: Option<String>) {
        if let (Some(uid), Some(events)) = (uid, self.sender().as_ref()) {
            // Nobody has to listen.
            let _ = events.send(uid);
        }
    }
}

/// An image with this reference.
pub fn image(reference: &str) -> Image {
    Image {
        id: format!("sha256:{reference}"),
        reference_id: format!("docker://sha256:{reference}"),
        user: String::new(),
        size: 1000,
    }
}

#[async_trait]
impl ContainerRuntime for FakeRuntime {
    async fn version(&self) -> Result<RuntimeVersion, RuntimeError> {
        self.state().up()?;
        Ok(RuntimeVersion { id: "docker://0.0.0".to_owned() })
    }

    async fn pods(&self) -> Result<Vec<PodRecord>, RuntimeError> {
        let state = self.state();
        state.up()?;
        let mut records: BTreeMap<&str, PodRecord> = BTreeMap::new();
        let sandboxes = state.sandboxes.values().map(|(pod, sandbox)| (pod, sandbox.pid.and(sandbox.address)));
        for (pod, address) in sandboxes.chain(state.containers.values().map(|(pod, _, _)| (pod, None))) {
            let new = PodRecord { pod: pod.clone(), addresses: Vec::new(), grace_seconds: 30 };
            records.entry(&pod.uid).or_insert(new).addresses.extend(address);
        }
        Ok(records.into_values().collect())
    }

    async fn observe(&self, uid: &str) -> Result<Observed, RuntimeError> {
        let state = self.state();
        state.up()?;
        let sandboxes = state.sandboxes.values().filter(|(pod, _)| pod.uid == uid).map(|(_, sandbox)| sandbox.clone());
        let containers = state.containers.values().filter(|(pod, _, _)| pod.uid == uid).map(|(_, c, _)| c.clone());
        let mut all = Observed { sandboxes: sandboxes.collect(), containers: containers.collect() };
        all.sandboxes.sort_by_key(|sandbox| std::cmp::Reverse(sandbox.attempt));
        all.containers.sort_by_key(|container| std::cmp::Reverse((container.attempt, container.created)));
        Ok(all)
    }

    async fn run_sandbox(&self, spec: &SandboxSpec) -> Result<Sandbox, RuntimeError> {
        let sandbox = {
            let mut state = self.state();
            state.up()?;
            let refused = state.call(format!("sandbox {} {}", spec.pod.name, spec.attempt)).err();
            let id = state.new_id();
            // The worst that an engine does: it leaves behind what it did not start.
            let pid = i32::try_from(state.made).ok().filter(|_| refused.is_none());
            let sandbox =
                Sandbox { id: id.clone(), attempt: spec.attempt, pid, address: spec.address, created: state.time() };
            state.sandboxes.retain(|_, (pod, old)| pod.uid != spec.pod.uid || old.attempt != spec.attempt);
            state.sandboxes.insert(id, (spec.pod.clone(), sandbox.clone()));
            if let Some(error) = refused {
                return Err(error);
            }
            sandbox
        };
        self.tell(Some(spec.pod.uid.clone()));
        Ok(sandbox)
    }

    async fn create_container(&self, pod: &PodId, sandbox: &str, spec: &ContainerSpec) -> Result<String, RuntimeError> {
        let mut state = self.state();
        state.call(format!("create {} {}", spec.name, spec.attempt))?;
        let Some(image_id) = state.images.get(&spec.image).map(|image| image.reference_id.clone()) else {
            return Err(RuntimeError::NotFound(format!("No such image: {}", spec.image)));
        };
        let id = state.new_id();
        let container = Container {
            id: id.clone(),
            name: spec.name.clone(),
            attempt: spec.attempt,
            sandbox: sandbox.to_owned(),
            hash: spec.hash.clone(),
            image: spec.image.clone(),
            image_id,
            tty: spec.tty,
            created: state.time(),
            state: ContainerState::Created,
        };
        state
            .containers
            .retain(|_, (owner, old, _)| owner.uid != pod.uid || old.name != spec.name || old.attempt != spec.attempt);
        state.containers.insert(id.clone(), (pod.clone(), container, spec.clone()));
        Ok(id)
    }

    async fn start_container(&self, id: &str) -> Result<(), RuntimeError> {
        let (uid, short) = {
            let mut state = self.state();
            let name = state.name(id);
            state.call(format!("start {name}"))?;
            let started = state.time();
            let (pod, container, _) = state
                .containers
                .get_mut(id)
                .ok_or_else(|| RuntimeError::NotFound(format!("No such container: {id}")))?;
            container.state = ContainerState::Running { started };
            (pod.uid.clone(), state.short_lived.get(&name).copied())
        };
        self.tell(Some(uid));
        if let Some(code) = short {
            self.end(id, code);
        }
        Ok(())
    }

    async fn stop(&self, id: &str, grace: Duration) -> Result<(), RuntimeError> {
        let name = self.state().name(id);
        self.state().call(format!("stop {name} {}", grace.as_secs()))?;
        self.end(id, TERMINATED);
        Ok(())
    }

    async fn remove(&self, id: &str) -> Result<(), RuntimeError> {
        let uid = {
            let mut state = self.state();
            let name = state.name(id);
            state.call(format!("remove {name}"))?;
            state.end(id, KILLED);
            let sandbox = state.sandboxes.remove(id).map(|(pod, _)| pod.uid);
            sandbox.or_else(|| state.containers.remove(id).map(|(pod, _, _)| pod.uid))
        };
        self.tell(uid);
        Ok(())
    }

    async fn exec(&self, id: &str, command: &[String], timeout: Duration) -> Result<ExecResult, RuntimeError> {
        let words = command.join(" ");
        let (hangs, result) = {
            let mut state = self.state();
            let call = format!("exec {} {words}", state.name(id));
            state.call(call)?;
            state.limits.insert(words.clone(), timeout);
            (state.hanging.contains(&words), state.commands.get(&words).cloned())
        };
        if hangs {
            tokio::time::sleep(timeout).await;
            return Err(RuntimeError::TimedOut(format!("command timed out after {timeout:?}")));
        }
        Ok(result.unwrap_or(ExecResult { code: 0, output: String::new() }))
    }

    fn logs(&self, id: &str, options: &LogOptions) -> BoxStream<'static, Result<Bytes, RuntimeError>> {
        let state = self.state();
        let written_by = state.containers.get(id).map(|(_, container, _)| container.tty);
        if written_by.is_some_and(|tty| tty != options.tty) {
            let wrong = RuntimeError::Refused("a terminal's log is read as one, and no other".to_owned());
            return stream::iter([Err(wrong)]).boxed();
        }
        let text = state.logs.get(&state.name(id)).cloned().unwrap_or_default();
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let tail = options.tail.and_then(|tail| usize::try_from(tail).ok()).unwrap_or(lines.len());
        let last = &lines[lines.len().saturating_sub(tail)..];
        let pieces: Vec<_> = last.iter().map(|line| Ok(Bytes::from((*line).to_owned()))).collect();
        stream::iter(pieces).boxed()
    }

    async fn image(&self, reference: &str) -> Result<Option<Image>, RuntimeError> {
        let state = self.state();
        state.up()?;
        Ok(state.images.get(reference).cloned())
    }

    async fn pull(&self, reference: &str, credentials: Option<&Credentials>) -> Result<Image, RuntimeError> {
        let mut state = self.state();
        let user = credentials.map(|credentials| format!(" as {}", credentials.username));
        state.call(format!("pull {reference}{}", user.unwrap_or_default()))?;
        let Some(image) = state.registry.get(reference).cloned() else {
            return Err(RuntimeError::Refused(format!("manifest for {reference} not found")));
        };
        state.images.insert(reference.to_owned(), image.clone());
        Ok(image)
    }

    fn events(&self) -> BoxStream<'static, String> {
        let Some(events) = self.sender().as_ref().map(broadcast::Sender::subscribe) else {
            return stream::empty().boxed();
        };
        let next =
            |mut events: broadcast::Receiver<String>| async move { events.recv().await.ok().map(|uid| (uid, events)) };
        stream::unfold(events, next).boxed()
    }
}
