//! Leaves nothing of the pods on this node: for an agent that goes for good.

use std::io;

use futures::future::join_all;

use super::{
    network::PodNetwork,
    paths::Paths,
    runtime::{ContainerRuntime, PodRecord, RuntimeError},
    volumes,
};

/// Something is left.
#[derive(Debug, thiserror::Error)]
#[error("{}", problems.join("; "))]
pub struct CleanupError {
    /// One sentence for each thing that is left.
    pub problems: Vec<String>,
}

/// Removes all containers of this node, the links of their pods, and the pods' files.
///
/// # Errors
/// All that could not be removed; everything else is gone.
pub async fn cleanup(
    runtime: &dyn ContainerRuntime,
    paths: &Paths,
    network: &dyn PodNetwork,
) -> Result<(), CleanupError> {
    let records = match runtime.pods().await {
        Ok(records) => records,
        Err(error) => return Err(CleanupError { problems: vec![error.to_string()] }),
    };
    let removed = join_all(records.iter().map(|record| remove(runtime, network, record))).await;
    let mut problems: Vec<String> = removed.into_iter().flatten().collect();
    let paths = paths.clone();
    match tokio::task::spawn_blocking(move || remove_files(&paths)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => problems.push(format!("the pods' files: {error}")),
        Err(error) => problems.push(error.to_string()),
    }
    if problems.is_empty() { Ok(()) } else { Err(CleanupError { problems }) }
}

/// One pod; what is left of it.
async fn remove(runtime: &dyn ContainerRuntime, network: &dyn PodNetwork, record: &PodRecord) -> Vec<String> {
    let uid = &record.pod.uid;
    let words = |error: RuntimeError| format!("pod {}/{}: {error}", record.pod.namespace, record.pod.name);
    let observed = match runtime.observe(uid).await {
        Ok(observed) => observed,
        Err(error) => return vec![words(error)],
    };
    let containers = observed.containers.iter().map(|container| runtime.remove(&container.id));
    let mut problems: Vec<String> = join_all(containers).await.into_iter().filter_map(Result::err).map(words).collect();
    if let Err(error) = network.disconnect(uid).await {
        problems.push(format!("pod {}/{}: {error}", record.pod.namespace, record.pod.name));
    }
    network.release(uid).await;
    let sandboxes = observed.sandboxes.iter().map(|sandbox| runtime.remove(&sandbox.id));
    problems.extend(join_all(sandboxes).await.into_iter().filter_map(Result::err).map(words));
    problems
}

fn remove_files(paths: &Paths) -> io::Result<()> {
    let entries = match std::fs::read_dir(paths.root()) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        volumes::remove(&paths.pod(&entry?.file_name().to_string_lossy()))?;
    }
    std::fs::remove_dir(paths.root())
}

#[cfg(test)]
mod tests;
