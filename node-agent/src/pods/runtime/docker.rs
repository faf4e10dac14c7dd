//! Docker Engine through its HTTP API, 1.41 (20.10) and newer.
//!
//! In: sandbox and container specifications. Out: what Docker says exists, read back from labels.
//! Only containers that carry this node's label are seen or touched.

mod convert;
mod exec;
mod oom;
mod pause;
mod profiles;
mod raw;

use std::{
    collections::{HashMap, HashSet},
    net::Ipv4Addr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bollard::{
    Docker,
    container::LogOutput,
    errors::Error,
    models::{ContainerSummary, ContainerSummaryStateEnum},
    query_parameters::{
        CreateContainerOptionsBuilder, CreateImageOptionsBuilder, EventsOptionsBuilder, ListContainersOptionsBuilder,
        LogsOptionsBuilder, RemoveContainerOptionsBuilder, StartContainerOptions, StopContainerOptionsBuilder,
    },
};
use bytes::Bytes;
use futures::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use tracing::{debug, info, warn};

use super::{
    ContainerRuntime, ContainerSpec, Credentials, ExecResult, Image, LogOptions, Observed, PodId, PodRecord,
    RuntimeError, RuntimeVersion, Sandbox, SandboxSpec, labels,
};

/// The longest grace period that a label is believed, in seconds.
const LONGEST_GRACE: i64 = 24 * 60 * 60;
/// Answers to ordinary requests come sooner than this, in seconds; a stop may take its grace longer.
const PATIENCE: u64 = 120;

/// A Docker engine.
pub struct DockerRuntime {
    docker: Docker,
    host: String,
    node: String,
    cgroup_parent: Option<String>,
    least_oom_score: i64,
    /// What statuses call images, by their ids. Ids last; a pull may give an image another name.
    images: Mutex<HashMap<String, String>>,
}

impl DockerRuntime {
    /// Connects to the engine at `host` (`unix:///path` or `tcp://address:port`). Containers are
    /// marked as those of `node` and placed below `cgroup_parent`.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn connect(host: &str, node: &str, cgroup_parent: Option<String>) -> Result<Self, RuntimeError> {
        let docker = Docker::connect_with_host(host).map_err(failure)?;
        let docker = docker.negotiate_version().await.map_err(failure)?;
        debug!(host, version = %docker.client_version(), "connected to Docker");
        Ok(Self {
            docker,
            host: host.to_owned(),
            node: node.to_owned(),
            cgroup_parent,
            least_oom_score: oom::least_score(),
            images: Mutex::default(),
        })
    }

    async fn list(&self, uid: Option<&str>) -> Result<Vec<ContainerSummary>, RuntimeError> {
        let mut wanted = vec![format!("{}={}", labels::NODE, self.node)];
        wanted.extend(uid.map(|uid| format!("{}={uid}", labels::POD_UID)));
        let filters = HashMap::from([("label", wanted)]);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        let mut found = self.docker.list_containers(Some(options)).await.map_err(failure)?;
        found.retain(is_of_pods);
        Ok(found)
    }

    /// Creates a container after removing one that has the name already.
    async fn create(&self, name: &str, mut body: bollard::models::ContainerCreateBody) -> Result<String, RuntimeError> {
        let score = body.host_config.as_mut().and_then(|config| config.oom_score_adj.as_mut());
        score.into_iter().for_each(|score| *score = self.least_oom_score.max(*score));
        let options = CreateContainerOptionsBuilder::new().name(name).build();
        match self.docker.create_container(Some(options.clone()), body.clone()).await {
            Ok(created) => Ok(created.id),
            Err(Error::DockerResponseServerError { status_code: 409, message }) => {
                info!(name, %message, "replacing a container that has the name");
                self.remove(name).await?;
                Ok(self.docker.create_container(Some(options), body).await.map_err(failure)?.id)
            }
            Err(error) => Err(failure(error)),
        }
    }

    /// What a pod's status calls these images.
    async fn reference_ids(&self, images: HashSet<&str>) -> Result<HashMap<String, String>, RuntimeError> {
        let mut known = self.images().clone();
        known.retain(|image, _| images.contains(image.as_str()));
        for image in images {
            if !known.contains_key(image) {
                let id = self.image(image).await?.map(|image| image.reference_id);
                let id = id.unwrap_or_else(|| format!("docker://{image}"));
                self.images().insert(image.to_owned(), id.clone());
                known.insert(image.to_owned(), id);
            }
        }
        Ok(known)
    }

    fn images(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.images.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn sandbox(&self, id: &str) -> Result<Sandbox, RuntimeError> {
        let found = self.docker.inspect_container(id, None).await.map_err(failure)?;
        Ok(convert::sandbox(&found))
    }
}

#[async_trait]
impl ContainerRuntime for DockerRuntime {
    async fn version(&self) -> Result<RuntimeVersion, RuntimeError> {
        let version = self.docker.version().await.map_err(failure)?;
        Ok(RuntimeVersion { id: format!("docker://{}", version.version.unwrap_or_default()) })
    }

    async fn pods(&self) -> Result<Vec<PodRecord>, RuntimeError> {
        Ok(records(self.list(None).await?))
    }

    async fn observe(&self, uid: &str) -> Result<Observed, RuntimeError> {
        let found = self.list(Some(uid)).await?;
        let inspected: Vec<_> = stream::iter(found)
            .filter(|summary| std::future::ready(summary.state != Some(ContainerSummaryStateEnum::REMOVING)))
            .map(|summary| async move {
                let id = summary.id.unwrap_or_default();
                match self.docker.inspect_container(&id, None).await.map_err(failure) {
                    Ok(container) => Ok(Some(container)),
                    // Removed since the list.
                    Err(RuntimeError::NotFound(_)) => Ok(None),
                    Err(error) => Err(error),
                }
            })
            .buffer_unordered(8)
            .try_collect()
            .await?;
        let images: HashSet<&str> = inspected.iter().flatten().filter_map(|one| one.image.as_deref()).collect();
        let images = self.reference_ids(images).await?;
        Ok(convert::observed(inspected.iter().flatten(), &images))
    }

    async fn run_sandbox(&self, spec: &SandboxSpec) -> Result<Sandbox, RuntimeError> {
        pause::ensure_image(&self.docker).await?;
        let body = convert::sandbox_body(&self.node, self.cgroup_parent.as_deref(), spec);
        let id = self.create(&labels::sandbox_name(&spec.pod, spec.attempt), body).await?;
        if let Err(error) = self.docker.start_container(&id, None::<StartContainerOptions>).await {
            // Nobody else has a use for it.
            if let Err(error) = self.remove(&id).await {
                warn!(pod = spec.pod.name, %error, "a sandbox that did not start stays behind");
            }
            return Err(failure(error));
        }
        self.sandbox(&id).await
    }

    async fn create_container(&self, pod: &PodId, sandbox: &str, spec: &ContainerSpec) -> Result<String, RuntimeError> {
        let mut body = convert::container_body(&self.node, self.cgroup_parent.as_deref(), pod, sandbox, spec);
        if let (Some(profile), Some(config)) = (profiles::load(&spec.security)?, &mut body.host_config) {
            config.security_opt.get_or_insert_default().push(format!("seccomp={profile}"));
        }
        self.create(&labels::container_name(&spec.name, pod, spec.attempt), body).await
    }

    async fn start_container(&self, id: &str) -> Result<(), RuntimeError> {
        self.docker.start_container(id, None::<StartContainerOptions>).await.map_err(failure)
    }

    async fn stop(&self, id: &str, grace: Duration) -> Result<(), RuntimeError> {
        let seconds = i32::try_from(grace.as_secs()).unwrap_or(i32::MAX);
        let options = StopContainerOptionsBuilder::new().t(seconds).build();
        let docker = self.docker.clone().with_timeout(Duration::from_secs(PATIENCE) + grace);
        absent_is_fine(docker.stop_container(id, Some(options)).await)
    }

    async fn remove(&self, id: &str) -> Result<(), RuntimeError> {
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        match self.docker.remove_container(id, Some(options)).await {
            // Somebody else is at it.
            Err(Error::DockerResponseServerError { status_code: 409, .. }) => Ok(()),
            other => absent_is_fine(other),
        }
    }

    async fn exec(&self, id: &str, command: &[String], timeout: Duration) -> Result<ExecResult, RuntimeError> {
        exec::run(&self.docker, id, command, timeout).await
    }

    fn logs(&self, id: &str, options: &LogOptions) -> BoxStream<'static, Result<Bytes, RuntimeError>> {
        let (host, id, options) = (self.host.clone(), id.to_owned(), options.clone());
        // A follower may wait for ever for the next line.
        let docker = self.docker.clone().with_timeout(Duration::from_secs(u64::from(u32::MAX)));
        let read = async move {
            if options.tty {
                return raw::logs(&host, &docker.client_version().to_string(), &id, &options).await;
            }
            let pieces = docker.logs(&id, Some(log_options(&options)));
            Ok(pieces.map(|piece| piece.map(LogOutput::into_bytes).map_err(failure)).boxed())
        };
        stream::once(read).try_flatten().boxed()
    }

    async fn image(&self, reference: &str) -> Result<Option<Image>, RuntimeError> {
        match self.docker.inspect_image(reference).await.map_err(failure) {
            Ok(image) => Ok(Some(convert::image(image))),
            Err(RuntimeError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn pull(&self, reference: &str, credentials: Option<&Credentials>) -> Result<Image, RuntimeError> {
        let tagged = if reference.contains('@') || reference.rsplit('/').next().is_some_and(|last| last.contains(':')) {
            reference.to_owned()
        } else {
            // Without a tag Docker would fetch all of them.
            format!("{reference}:latest")
        };
        match credentials {
            Some(credentials) => {
                raw::pull(&self.host, &self.docker.client_version().to_string(), &tagged, credentials).await?;
            }
            None => {
                let options = CreateImageOptionsBuilder::new().from_image(&tagged).build();
                let mut progress = self.docker.create_image(Some(options), None, None).boxed();
                while progress.try_next().await.map_err(failure)?.is_some() {}
            }
        }
        self.images().clear();
        self.image(reference)
            .await?
            .ok_or_else(|| RuntimeError::Refused(format!("image {reference} is missing after its pull")))
    }

    fn events(&self) -> BoxStream<'static, String> {
        let filters = HashMap::from([
            ("type", vec!["container".to_owned()]),
            ("event", ["start", "die", "oom", "destroy"].map(str::to_owned).to_vec()),
            ("label", vec![format!("{}={}", labels::NODE, self.node)]),
        ]);
        // The stream begins when it is first asked, and must not miss what happened since this call.
        let since = jiff::Timestamp::now().as_second().to_string();
        let options = EventsOptionsBuilder::new().filters(&filters).since(&since).build();
        let docker = self.docker.clone().with_timeout(Duration::from_secs(u64::from(u32::MAX)));
        docker
            .events(Some(options))
            .take_while(|event| std::future::ready(event.is_ok()))
            .filter_map(|event| {
                let attributes = event.ok().and_then(|event| event.actor).and_then(|actor| actor.attributes);
                std::future::ready(attributes.and_then(|mut all| all.remove(labels::POD_UID)))
            })
            .boxed()
    }
}

/// Whether a container is one that this agent names. An image may carry any label, but it does not
/// name the containers that are made of it.
fn is_of_pods(container: &ContainerSummary) -> bool {
    container.names.iter().flatten().any(|name| name.trim_start_matches('/').starts_with("k8s_"))
}

/// The pods that containers belong to.
fn records(found: Vec<ContainerSummary>) -> Vec<PodRecord> {
    let mut records: HashMap<String, PodRecord> = HashMap::new();
    for container in found {
        let labels = container.labels.unwrap_or_default();
        let Some(pod) = labels::pod(&labels) else { continue };
        let new = PodRecord { pod: pod.clone(), addresses: Vec::new(), grace_seconds: 0 };
        let record = records.entry(pod.uid).or_insert(new);
        // A container's own labels are mixed with its image's; a sandbox has only ours.
        if labels.get(labels::TYPE).map(String::as_str) != Some(labels::TYPE_SANDBOX) {
            continue;
        }
        let address = labels.get(labels::ADDRESS).and_then(|text| text.parse::<Ipv4Addr>().ok());
        let runs = container.state == Some(ContainerSummaryStateEnum::RUNNING);
        record.addresses.extend(address.filter(|_| runs));
        let grace = labels::number::<i64>(&labels, labels::GRACE).clamp(0, LONGEST_GRACE);
        record.grace_seconds = record.grace_seconds.max(grace);
    }
    records.into_values().collect()
}

fn log_options(options: &LogOptions) -> bollard::query_parameters::LogsOptions {
    let mut wanted =
        LogsOptionsBuilder::new().stdout(true).stderr(true).follow(options.follow).timestamps(options.timestamps);
    if let Some(tail) = options.tail {
        wanted = wanted.tail(&tail.to_string());
    }
    if let Some(since) = options.since {
        wanted = wanted.since(i32::try_from(since.as_second()).unwrap_or(i32::MAX));
    }
    wanted.build()
}

fn absent_is_fine(result: Result<(), Error>) -> Result<(), RuntimeError> {
    match result.map_err(failure) {
        Err(RuntimeError::NotFound(_)) => Ok(()),
        other => other,
    }
}

/// Docker's errors as decisions, its words kept as `docker` would print them.
fn failure(error: Error) -> RuntimeError {
    match error {
        Error::DockerResponseServerError { status_code: 404, message } => RuntimeError::NotFound(message),
        // 304: already so.
        Error::DockerResponseServerError { status_code: 304, message } => RuntimeError::NotFound(message),
        Error::DockerResponseServerError { message, .. } => {
            RuntimeError::Refused(format!("Error response from daemon: {message}"))
        }
        Error::DockerStreamError { error } => RuntimeError::Refused(error),
        error => RuntimeError::Unavailable(error.to_string()),
    }
}

#[cfg(test)]
mod tests;
