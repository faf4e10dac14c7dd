//! A node with its agent's pods' room, over fakes of everything around it.

use std::{sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::{Pod, PodStatus};
use kube::{Api, runtime::watcher};
use nodeplane_api::meta::Key;
use nodeplane_client::{fake::Fake, informer::Informer};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{
    Pods, Timing,
    fixtures::{self, FakeNode, eventually},
    pod::PodExt,
};

/// Where the pods' objects are.
pub(super) const COLLECTION: &str = "/api/v1/namespaces/default/pods";

pub(super) struct Bed {
    pub(super) server: Fake,
    pub(super) node: FakeNode,
    pub(super) timing: Timing,
    agent: Option<Agent>,
}

struct Agent {
    pods: Pods,
    stop: CancellationToken,
}

impl Bed {
    /// A node whose agent has not started.
    pub(super) fn new() -> Self {
        let timing = Timing {
            orphans: Duration::from_millis(300),
            relist: Duration::from_secs(3600),
            rest: Duration::from_millis(50),
        };
        Self { server: Fake::default(), node: FakeNode::new(), timing, agent: None }
    }

    /// A node whose agent runs.
    pub(super) async fn started() -> Self {
        let mut bed = Self::new();
        bed.start_agent().await;
        bed
    }

    /// Starts the agent, and waits until it has found its way.
    pub(super) async fn start_agent(&mut self) {
        self.launch();
        self.pods().adopted().await;
    }

    /// Starts the agent.
    pub(super) fn launch(&mut self) {
        let api: Api<Pod> = Api::all(self.server.client());
        let objects = Arc::new(Informer::start(api, watcher::Config::default()));
        let stop = CancellationToken::new();
        let pods = Pods::start_with(self.node.context(), objects, stop.clone(), self.timing);
        self.agent = Some(Agent { pods, stop });
    }

    /// Stops the agent, and waits until it has let go.
    pub(super) async fn stop_agent(&mut self) {
        let agent = self.agent.take().expect("an agent");
        agent.stop.cancel();
        agent.pods.stopped().await;
    }

    pub(super) fn pods(&self) -> &Pods {
        &self.agent.as_ref().expect("an agent").pods
    }

    /// Binds a pod to the node, or changes it.
    pub(super) fn put(&self, name: &str, spec: Value) {
        self.change(name, |object| object["spec"] = spec);
    }

    pub(super) fn change(&self, name: &str, change: impl FnOnce(&mut Value)) {
        let path = format!("{COLLECTION}/{name}");
        let mut object = self.server.get(&path).unwrap_or_else(|| json!({ "metadata": {} }));
        change(&mut object);
        if object["spec"]["containers"].is_null() {
            object["spec"]["containers"] = json!([fixtures::container("app")]);
        }
        self.server.put(&path, object);
    }

    /// Asks for a pod's end.
    pub(super) fn delete(&self, name: &str, grace: i64) {
        self.change(name, |object| {
            object["metadata"]["deletionTimestamp"] = jiff::Timestamp::now().to_string().into();
            object["metadata"]["deletionGracePeriodSeconds"] = grace.into();
        });
    }

    /// Makes the objects show the statuses that the agent wrote, as a server would.
    pub(super) fn echo(&self, name: &str) {
        let status = self.status(name).expect("a status");
        self.change(name, |object| object["status"] = serde_json::to_value(status).expect("a status"));
    }

    pub(super) fn object(&self, name: &str) -> Pod {
        let object = self.server.get(&format!("{COLLECTION}/{name}")).expect("an object");
        serde_json::from_value(object).expect("a pod")
    }

    pub(super) fn uid(&self, name: &str) -> String {
        self.object(name).uid().to_owned()
    }

    /// The status that was written last.
    pub(super) fn status(&self, name: &str) -> Option<PodStatus> {
        self.node.api.status(name)
    }

    pub(super) fn is_ready(&self, name: &str) -> bool {
        let status = self.status(name).unwrap_or_default();
        status.conditions.iter().flatten().any(|condition| condition.type_ == "Ready" && condition.status == "True")
    }

    /// Returns when the pod is ready.
    pub(super) async fn ready(&self, name: &str) {
        eventually("the pod is ready", || self.is_ready(name)).await;
    }

    /// Returns when the pod's object is in the agent's sight as it is now.
    pub(super) async fn seen(&self, name: &str) {
        let revision = self.object(name).metadata.resource_version;
        let key = Key::new("default", name);
        let objects = self.pods().objects.clone();
        let seen = || objects.get(&key).is_some_and(|pod| pod.metadata.resource_version == revision);
        eventually("the object is seen", seen).await;
    }

    pub(super) fn events(&self) -> Vec<String> {
        self.node.api.state().events.clone()
    }

    pub(super) fn has_event(&self, start: &str) -> bool {
        self.events().iter().any(|event| event.starts_with(start))
    }

    pub(super) fn calls(&self) -> Vec<String> {
        self.node.runtime.state().calls.clone()
    }

    /// How many containers and sandboxes exist.
    pub(super) fn left(&self) -> (usize, usize) {
        let state = self.node.runtime.state();
        (state.containers.len(), state.sandboxes.len())
    }

    /// Why the container of a pod waits.
    pub(super) fn waiting(&self, name: &str) -> Option<String> {
        let status = self.status(name)?.container_statuses?.into_iter().next()?;
        let waiting = status.state?.waiting?;
        Some(format!("{}: {}", waiting.reason?, waiting.message.unwrap_or_default()))
    }
}
