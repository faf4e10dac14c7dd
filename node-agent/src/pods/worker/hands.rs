//! What a worker's jobs do, step by step, on runtime, network, files and API server.
//!
//! Everything may be repeated after any step: the next plan starts from what is there.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{hooks, termination::Messages};
use crate::pods::{
    api::ApiError,
    config::Shown,
    container_spec,
    context::Context,
    downward::Downward,
    lookup,
    message::{Action, Done, Failure},
    paths::PodPaths,
    pod::{self, PodExt},
    reporter::Reporter,
    runtime::{Observed, PodId, RuntimeError, Sandbox, SandboxSpec},
    tokens::TokenCache,
    volumes,
};

/// What a sandbox gets to end: its program ends at once.
const SANDBOX_GRACE: Duration = Duration::from_secs(10);
/// A last status that the API server refuses for so long does not keep the object.
const LAST_STATUS: Duration = Duration::from_secs(30);

/// The tools of one pod's jobs.
pub(super) struct Hands {
    pub(super) context: Arc<Context>,
    pub(super) pod: PodId,
    pub(super) paths: PodPaths,
    pub(super) tokens: TokenCache,
    pub(super) reporter: Reporter,
    pub(super) messages: Messages,
    shown: Shown,
}

impl Hands {
    pub(super) fn new(context: Arc<Context>, pod: PodId, shown: Shown, reporter: Reporter) -> Self {
        let paths = context.paths.pod(&pod.uid);
        let (tokens, messages) = (TokenCache::default(), Messages::default());
        Self { context, pod, paths, tokens, reporter, messages, shown }
    }

    /// What the runtime holds of the pod, with termination messages.
    pub(super) async fn look(&self, pod: Option<&Pod>) -> Result<Observed, RuntimeError> {
        let mut observed = self.context.runtime.observe(&self.pod.uid).await?;
        self.messages.fill(&mut observed, pod, &self.paths, self.context.runtime.as_ref()).await;
        Ok(observed)
    }

    /// Does what an action says.
    pub(super) async fn perform(
        &self,
        action: Action,
        pod: Option<Arc<Pod>>,
        given_up: CancellationToken,
    ) -> Result<Done, Failure> {
        let known = || pod.clone().ok_or_else(|| Failure::new("InternalError", "the pod's object is not known"));
        match action {
            Action::PrepareVolumes => self.prepare_volumes(known()?, &given_up).await,
            Action::RunSandbox { attempt } => self.run_sandbox(&*known()?, attempt, &given_up).await,
            Action::Connect(sandbox) => self.connect(&*known()?, &sandbox).await,
            Action::Start { name, attempt, sandbox, address } => {
                self.start(&*known()?, super::start::Order { name, attempt, sandbox, address }, &given_up).await
            }
            Action::Stop { id, name, grace: _, left, why } => {
                self.stop(pod.as_deref(), &id, &name, left, &why).await.map(|()| Done::Plain)
            }
            Action::StopSandboxes(sandboxes) => self.stop_sandboxes(&sandboxes).await.map(|()| Done::Plain),
            Action::Prune(ids) => self.remove(&ids).await.map(|()| Done::Plain),
            Action::RemoveAll => self.remove_all().await.map(|()| Done::Plain),
            Action::Delete(status) => self.delete(&status).await.map(|()| Done::Plain),
            Action::Event { .. } => Ok(Done::Plain),
        }
    }

    /// Tells people.
    pub(super) fn tell(&self, pod: &Pod, container: &str, warning: bool, reason: &str, message: &str) {
        self.context.api.event(pod, container, warning, reason, message);
    }

    async fn prepare_volumes(&self, pod: Arc<Pod>, given_up: &CancellationToken) -> Result<Done, Failure> {
        let api = self.context.api.as_ref();
        let wanted = volumes::references(PodExt::spec(pod.as_ref()).volumes.as_deref().unwrap_or_default());
        let read = async {
            let found = lookup::find(api, &self.pod.namespace, &wanted).await?;
            Ok::<_, ApiError>((found, self.tokens.of(api, &pod, Timestamp::now()).await?))
        };
        let read = tokio::select! {
            () = given_up.cancelled() => return Ok(Done::GivenUp),
            read = read => read,
        };
        let mount_failed = |error: &dyn std::fmt::Display| {
            let message = error.to_string();
            self.tell(&pod, "", true, "FailedMount", &message);
            Failure::new("FailedMount", message)
        };
        let (found, tokens) = read.map_err(|error| mount_failed(&error))?;
        let (paths, host, node) = (self.paths.clone(), self.context.host, self.context.allocatable);
        let work = {
            let (pod, found) = (pod.clone(), found.clone());
            move || {
                let downward = Downward { pod: &pod, address: None, host, node };
                volumes::prepare(&pod, &paths, &found, &tokens, &downward)
            }
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(mount_failed(&error)),
            Err(error) => return Err(Failure::new("InternalError", error)),
        }
        self.shown.show(&wanted, &found);
        Ok(Done::Prepared { renew: self.tokens.renewal() })
    }

    async fn run_sandbox(&self, pod: &Pod, attempt: u32, given_up: &CancellationToken) -> Result<Done, Failure> {
        let spec = PodExt::spec(pod);
        container_spec::check(spec).map_err(|why| self.sandbox_failed(pod, &why))?;
        let host = pod.host_namespaces();
        let address = if host.network { None } else { Some(self.address(pod).await?) };
        let sysctls = spec.security_context.iter().flat_map(|context| &context.sysctls).flatten();
        let wanted = SandboxSpec {
            pod: self.pod.clone(),
            attempt,
            hostname: pod.hostname(),
            address,
            host,
            sysctls: sysctls.map(|sysctl| (sysctl.name.clone(), sysctl.value.clone())).collect(),
            grace_seconds: spec.termination_grace_period_seconds.unwrap_or(pod::DEFAULT_GRACE_SECONDS),
        };
        if given_up.is_cancelled() {
            return Ok(Done::GivenUp);
        }
        let run = self.context.runtime.run_sandbox(&wanted).await;
        let sandbox = run.map_err(|error| self.sandbox_failed(pod, &error))?;
        self.connect(pod, &sandbox).await
    }

    async fn connect(&self, pod: &Pod, sandbox: &Sandbox) -> Result<Done, Failure> {
        if pod.host_namespaces().network {
            return Ok(Done::Connected { sandbox: sandbox.id.clone(), address: None });
        }
        let address = match sandbox.address {
            Some(address) => address,
            None => self.address(pod).await?,
        };
        let Some(pid) = sandbox.pid else { return Err(self.sandbox_failed(pod, &"the sandbox has ended")) };
        let connected = self.context.network.connect(&self.pod.uid, address, pid).await;
        connected.map_err(|error| self.sandbox_failed(pod, &error))?;
        Ok(Done::Connected { sandbox: sandbox.id.clone(), address: Some(address) })
    }

    async fn address(&self, pod: &Pod) -> Result<std::net::Ipv4Addr, Failure> {
        self.context.network.address(&self.pod.uid).await.map_err(|error| self.sandbox_failed(pod, &error))
    }

    fn sandbox_failed(&self, pod: &Pod, error: &dyn std::fmt::Display) -> Failure {
        let message = format!("Failed to create pod sandbox: {error}");
        self.tell(pod, "", true, "FailedCreatePodSandBox", &message);
        Failure::new("FailedCreatePodSandBox", message)
    }

    pub(super) async fn stop(
        &self,
        pod: Option<&Pod>,
        id: &str,
        name: &str,
        left: Duration,
        why: &str,
    ) -> Result<(), Failure> {
        let mut left = left;
        if let Some(pod) = pod {
            self.tell(pod, name, false, "Killing", why);
            let begun = std::time::Instant::now();
            hooks::before_stop(self, pod, id, name, left).await;
            left = left.saturating_sub(begun.elapsed()).max(hooks::LEAST_AFTER_HOOK.min(left));
        }
        self.context.runtime.stop(id, left).await.map_err(|error| Failure::new("KillContainerError", error))
    }

    async fn stop_sandboxes(&self, sandboxes: &[Sandbox]) -> Result<(), Failure> {
        self.leave_network().await?;
        for sandbox in sandboxes {
            let stopped = self.context.runtime.stop(&sandbox.id, SANDBOX_GRACE).await;
            stopped.map_err(|error| Failure::new("KillPodSandboxError", error))?;
        }
        Ok(())
    }

    /// Takes the link away and gives the address back, in this order.
    async fn leave_network(&self) -> Result<(), Failure> {
        let left = self.context.network.disconnect(&self.pod.uid).await;
        left.map_err(|error| Failure::new("KillPodSandboxError", error))?;
        self.context.network.release(&self.pod.uid).await;
        Ok(())
    }

    async fn remove(&self, ids: &[String]) -> Result<(), Failure> {
        let removed = join_all(ids.iter().map(|id| self.context.runtime.remove(id))).await;
        removed.into_iter().collect::<Result<(), _>>().map_err(|error| Failure::new("RemoveContainerError", error))
    }

    async fn remove_all(&self) -> Result<(), Failure> {
        let observed = self.context.runtime.observe(&self.pod.uid).await;
        let observed = observed.map_err(|error| Failure::new("RemoveContainerError", error))?;
        let containers: Vec<String> = observed.containers.into_iter().map(|container| container.id).collect();
        let sandboxes: Vec<String> = observed.sandboxes.into_iter().map(|sandbox| sandbox.id).collect();
        self.remove(&containers).await?;
        self.leave_network().await?;
        self.remove(&sandboxes).await?;
        let paths = self.paths.clone();
        let removed = tokio::task::spawn_blocking(move || volumes::remove(&paths)).await;
        match removed {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Failure::new("UnmountError", error)),
            Err(error) => Err(Failure::new("InternalError", error)),
        }
    }

    async fn delete(&self, status: &PodStatus) -> Result<(), Failure> {
        self.reporter.show(status.clone());
        if !self.reporter.settled(LAST_STATUS).await {
            warn!(pod = self.pod.name, namespace = self.pod.namespace, "removing an object without its last status");
        }
        match self.context.api.delete(&self.pod).await {
            Ok(()) | Err(ApiError::Gone) => Ok(()),
            Err(error) => Err(Failure::new("DeleteError", error)),
        }
    }
}
