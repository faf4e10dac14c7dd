//! Which container's log is meant (kubelet `validateContainerLogStatus`). Pure.

use k8s_openapi::api::core::v1::{ContainerStatus, Pod};

use super::LogError;
use crate::pods::{
    pod::PodExt,
    runtime::{Container, ContainerState, Observed},
};

/// The container of the pod that is meant by a name, which may be empty when there is only one.
pub(super) fn name<'a>(pod: &'a Pod, wanted: &str) -> Result<&'a str, LogError> {
    let spec = PodExt::spec(pod);
    let apps: Vec<&str> = spec.containers.iter().map(|container| container.name.as_str()).collect();
    let inits: Vec<&str> = pod.inits().iter().map(|container| container.name.as_str()).collect();
    let pod = pod.metadata.name.as_deref().unwrap_or_default();
    if wanted.is_empty() {
        return match apps.as_slice() {
            [only] => Ok(only),
            _ => Err(LogError::bad_request(must_choose(pod, &apps, &inits))),
        };
    }
    let found = apps.into_iter().chain(inits).find(|name| *name == wanted);
    found.ok_or_else(|| LogError::bad_request(format!("container {wanted} is not valid for pod {pod}")))
}

fn must_choose(pod: &str, apps: &[&str], inits: &[&str]) -> String {
    let mut text = format!("a container name must be specified for pod {pod}, choose one of: [{}]", apps.join(" "));
    if !inits.is_empty() {
        text.push_str(&format!(" or one of the init containers: [{}]", inits.join(" ")));
    }
    text
}

/// The container with the log.
pub(super) fn container<'a>(
    pod: &Pod,
    observed: &'a Observed,
    name: &str,
    previous: bool,
) -> Result<&'a Container, LogError> {
    let pod_name = pod.metadata.name.as_deref().unwrap_or_default();
    let mut begun = observed
        .containers
        .iter()
        .filter(|container| container.name == name && !matches!(container.state, ContainerState::Created));
    let waiting = waiting_reason(pod, name);
    if previous {
        // A container that waits for its next start has ended itself.
        let current = begun.next().filter(|latest| waiting.is_some() && ended(latest));
        let found = current.or_else(|| begun.find(|container| ended(container)));
        return found.ok_or_else(|| {
            let message = format!("previous terminated container \"{name}\" in pod \"{pod_name}\" not found");
            LogError::bad_request(message)
        });
    }
    if let Some(container) = begun.next() {
        return Ok(container);
    }
    let why = match waiting.unwrap_or("ContainerCreating") {
        "ErrImagePull" => "image can't be pulled",
        "ImagePullBackOff" => "trying and failing to pull image",
        reason => reason,
    };
    let message = format!("container \"{name}\" in pod \"{pod_name}\" is waiting to start: {why}");
    Err(LogError::bad_request(message))
}

fn ended(container: &Container) -> bool {
    matches!(container.state, ContainerState::Exited(_))
}

fn waiting_reason<'a>(pod: &'a Pod, name: &str) -> Option<&'a str> {
    let status = pod.status.as_ref()?;
    let all = status.container_statuses.iter().chain(&status.init_container_statuses).flatten();
    let mut named = all.filter(|status: &&ContainerStatus| status.name == name);
    named.next()?.state.as_ref()?.waiting.as_ref()?.reason.as_deref()
}
