//! Starts a container (kubelet `startContainer`): image, environment, files, create, start, hook.

use std::{fs, io, net::Ipv4Addr, os::unix::fs::PermissionsExt, path::Path};

use k8s_openapi::api::core::v1::{Container, Pod};
use tokio_util::sync::CancellationToken;

use super::{hands::Hands, hooks};
use crate::pods::{
    container_spec::{self, Circumstances},
    downward::Downward,
    env::{self, Environment},
    files, lookup,
    message::{Done, Failure},
    pod::PodExt,
    runtime::{ContainerSpec, Image},
    volumes::SubPath,
};

const CONFIG_ERROR: &str = "CreateContainerConfigError";
const CREATE_ERROR: &str = "CreateContainerError";
const RUN_ERROR: &str = "RunContainerError";

/// Which container to start, and where.
#[derive(Clone, Debug)]
pub(super) struct Order {
    pub(super) name: String,
    pub(super) attempt: u32,
    pub(super) sandbox: String,
    pub(super) address: Option<Ipv4Addr>,
}

impl Hands {
    pub(super) async fn start(&self, pod: &Pod, order: Order, given_up: &CancellationToken) -> Result<Done, Failure> {
        let all = PodExt::spec(pod).containers.iter().chain(pod.inits());
        let container = all.into_iter().find(|container| container.name == order.name);
        let container = container.ok_or_else(|| Failure::new(CONFIG_ERROR, "the pod has no such container"))?;
        let prepare = async {
            let image = self.ensure_image(pod, container).await?;
            self.specify(pod, container, &order, &image).await
        };
        let spec = tokio::select! {
            () = given_up.cancelled() => return Ok(Done::GivenUp),
            spec = prepare => spec?,
        };
        self.create_and_start(pod, container, &order, &spec, given_up).await
    }

    /// Not given up between a request and its answer: what the runtime made must be known.
    async fn create_and_start(
        &self,
        pod: &Pod,
        container: &Container,
        order: &Order,
        spec: &ContainerSpec,
        given_up: &CancellationToken,
    ) -> Result<Done, Failure> {
        let (runtime, name) = (&self.context.runtime, &order.name);
        let created = runtime.create_container(&self.pod, &order.sandbox, spec).await;
        let id = created.map_err(|error| self.start_failed(pod, name, CREATE_ERROR, error.to_string()))?;
        self.tell(pod, name, false, "Created", &format!("Created container: {name}"));
        if given_up.is_cancelled() {
            return Ok(Done::GivenUp);
        }
        runtime.start_container(&id).await.map_err(|error| {
            self.start_failed(pod, name, RUN_ERROR, format!("failed to start container \"{name}\": {error}"))
        })?;
        self.tell(pod, name, false, "Started", &format!("Started container {name}"));
        let hook = tokio::select! {
            // A pod that ends waits for no hook.
            () = given_up.cancelled() => return Ok(Done::GivenUp),
            hook = hooks::after_start(self, pod, &id, container) => hook,
        };
        if let Err(why) = hook {
            tracing::info!(pod = self.pod.name, container = name, why, "postStart hook failed");
            self.tell(pod, name, true, "FailedPostStartHook", "PostStartHook failed");
            self.stop(Some(pod), &id, name, pod.grace(), "FailedPostStartHook").await?;
        }
        Ok(Done::Plain)
    }

    fn start_failed(&self, pod: &Pod, name: &str, reason: &'static str, message: String) -> Failure {
        self.tell(pod, name, true, "Failed", &format!("Error: {message}"));
        Failure::new(reason, message)
    }

    async fn specify(
        &self,
        pod: &Pod,
        container: &Container,
        order: &Order,
        image: &Image,
    ) -> Result<ContainerSpec, Failure> {
        let name = &container.name;
        let refuse = |message: String| self.start_failed(pod, name, CONFIG_ERROR, message);
        let environment = self.environment(pod, container, order.address).await.map_err(refuse)?;
        let with = Circumstances {
            attempt: order.attempt,
            image,
            environment: &environment,
            paths: &self.paths,
            node: self.context.allocatable,
        };
        let built = container_spec::build(pod, container, with).map_err(|failure| refuse(failure.message))?;
        self.write_files(pod, order, built.sub_paths).await.map_err(refuse)?;
        Ok(built.spec)
    }

    async fn environment(
        &self,
        pod: &Pod,
        container: &Container,
        address: Option<Ipv4Addr>,
    ) -> Result<Environment, String> {
        let api = self.context.api.as_ref();
        let found = lookup::find(api, &self.pod.namespace, &env::references(container)).await;
        let found = found.map_err(|error| error.to_string())?;
        let downward = Downward { pod, address, host: self.context.host, node: self.context.allocatable };
        let environment = env::resolve(pod, container, &api.services(), &found, &downward)?;
        if !environment.invalid.is_empty() {
            let message = format!(
                "Keys [{}] from the EnvFrom sources of {}/{} were skipped since they are considered invalid \
                 environment variable names.",
                environment.invalid.join(", "),
                self.pod.namespace,
                self.pod.name
            );
            self.tell(pod, &container.name, true, "InvalidEnvironmentVariableNames", &message);
        }
        Ok(environment)
    }

    /// The files that are mounted into every container, and the places of its sub-paths.
    async fn write_files(&self, pod: &Pod, order: &Order, sub_paths: Vec<SubPath>) -> Result<(), String> {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let hosts = if pod.host_namespaces().network {
            files::host_network_hosts(pod, &read("/etc/hosts"))
        } else {
            files::hosts(pod, order.address, &self.context.dns.domain)
        };
        let resolv_conf = files::resolv_conf(pod, &self.context.dns, &files::node_resolver(read));
        let message = self.paths.termination_message(&order.name, order.attempt);
        let paths = self.paths.clone();
        let work = move || -> io::Result<()> {
            paths.make()?;
            write_if_changed(&paths.hosts(), &hosts)?;
            write_if_changed(&paths.resolv_conf(), &resolv_conf)?;
            write_empty(&message)?;
            sub_paths.iter().try_for_each(SubPath::bind)
        };
        let written = tokio::task::spawn_blocking(work).await.map_err(|error| error.to_string())?;
        written.map_err(|error| format!("failed to prepare the container's files: {error}"))
    }
}

/// In place: containers have the file itself mounted.
fn write_if_changed(path: &Path, content: &str) -> io::Result<()> {
    if fs::read_to_string(path).is_ok_and(|present| present == content) { Ok(()) } else { fs::write(path, content) }
}

/// A file that any user may write to.
fn write_empty(path: &Path) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(path, "")?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o666))
}
