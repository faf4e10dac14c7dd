//! What containers want done after their start and before their end (kubelet `lifecycle`).

use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, LifecycleHandler, Pod};

use super::hands::Hands;
use crate::pods::{
    pod::PodExt,
    probes::{ask, http},
};

/// What a container gets at least after its hook has used the time up (kubelet
/// `minimumGracePeriodInSeconds`).
pub(super) const LEAST_AFTER_HOOK: Duration = Duration::from_secs(2);

/// How long a hook waits after a start for an answer by HTTP.
const LONGEST_AFTER_START: Duration = Duration::from_secs(2 * 60);
/// A command may take as long as it likes.
const UNLIMITED: Duration = Duration::from_secs(u32::MAX as u64);

/// Runs `preStop`, for `limit` at most. Whatever comes of it, the container ends.
pub(super) async fn before_stop(hands: &Hands, pod: &Pod, id: &str, name: &str, limit: Duration) {
    let Some(container) = definition(pod, name) else { return };
    let Some(hook) = container.lifecycle.as_ref().and_then(|lifecycle| lifecycle.pre_stop.as_ref()) else { return };
    if let Err(why) = run(hands, pod, id, container, hook, limit).await {
        tracing::info!(pod = hands.pod.name, container = name, why, "preStop hook failed");
        hands.tell(pod, name, true, "FailedPreStopHook", "PreStopHook failed");
    }
}

/// Runs `postStart`. May be dropped: the container's end ends what goes on inside.
///
/// # Errors
/// Why the container must not stay.
pub(super) async fn after_start(hands: &Hands, pod: &Pod, id: &str, container: &Container) -> Result<(), String> {
    match container.lifecycle.as_ref().and_then(|lifecycle| lifecycle.post_start.as_ref()) {
        Some(hook) => {
            let limit = if hook.http_get.is_some() { LONGEST_AFTER_START } else { UNLIMITED };
            run(hands, pod, id, container, hook, limit).await
        }
        None => Ok(()),
    }
}

fn definition<'a>(pod: &'a Pod, name: &str) -> Option<&'a Container> {
    PodExt::spec(pod).containers.iter().chain(pod.inits()).find(|container| container.name == name)
}

async fn run(
    hands: &Hands,
    pod: &Pod,
    id: &str,
    container: &Container,
    hook: &LifecycleHandler,
    limit: Duration,
) -> Result<(), String> {
    if let Some(exec) = &hook.exec {
        let command = exec.command.clone().unwrap_or_default();
        let answer = ask::exec(hands.context.runtime.as_ref(), id, &command, limit).await;
        return answer.map_err(|unwell| unwell.to_string());
    }
    if let Some(sleep) = &hook.sleep {
        let wanted = Duration::from_secs(sleep.seconds.max(0).unsigned_abs());
        tokio::time::sleep(wanted.min(limit)).await;
        return Ok(());
    }
    let Some(action) = &hook.http_get else { return Ok(()) };
    let address = match pod.host_namespaces().network {
        true => Some(hands.context.host),
        false => hands.context.network.address(&hands.pod.uid).await.ok(),
    };
    let Some(address) = address else { return Err("the pod has no address".to_owned()) };
    match tokio::time::timeout(limit, http::get(action, container, address)).await {
        Ok(answer) => answer.map_err(|unwell| unwell.to_string()),
        Err(_) => Err("context deadline exceeded".to_owned()),
    }
}
