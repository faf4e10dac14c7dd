//! What containers left behind when they ended (kubelet `getTerminationMessage`).

use std::{
    collections::HashMap,
    io::Read,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use futures::TryStreamExt;
use k8s_openapi::api::core::v1::Pod;

use crate::pods::{
    paths::PodPaths,
    pod::PodExt,
    runtime::{ContainerRuntime, ContainerState, LogOptions, Observed},
};

/// What is kept of the file.
const LONGEST: u64 = 4096;
/// Last lines of the log that stand in for an empty file.
const LOG_LINES: u64 = 80;
/// And how much of them.
const LOG_BYTES: usize = 2048;

/// Termination messages by container id; each is read once.
#[derive(Default)]
pub(super) struct Messages(Mutex<HashMap<String, String>>);

impl Messages {
    /// Adds the messages of ended containers to what was observed.
    pub(super) async fn fill(
        &self,
        observed: &mut Observed,
        pod: Option<&Pod>,
        paths: &PodPaths,
        runtime: &dyn ContainerRuntime,
    ) {
        self.held().retain(|id, _| observed.containers.iter().any(|container| container.id == *id));
        for container in &mut observed.containers {
            let ContainerState::Exited(exit) = &mut container.state else { continue };
            // One that never ran has the engine's own words.
            if exit.started.is_none() {
                continue;
            }
            let held = self.held().get(&container.id).cloned();
            let message = match held {
                Some(message) => message,
                None => {
                    let mut message = read(&paths.termination_message(&container.name, container.attempt));
                    if message.is_empty() && exit.code != 0 && falls_back_to_logs(pod, &container.name) {
                        message = last_lines(runtime, &container.id, container.tty).await;
                    }
                    if pod.is_some() {
                        self.held().insert(container.id.clone(), message.clone());
                    }
                    message
                }
            };
            if !message.is_empty() {
                exit.message = message;
            }
        }
    }

    fn held(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn falls_back_to_logs(pod: Option<&Pod>, name: &str) -> bool {
    let all = pod.into_iter().flat_map(|pod| PodExt::spec(pod).containers.iter().chain(pod.inits()));
    all.into_iter().any(|container| {
        container.name == name && container.termination_message_policy.as_deref() == Some("FallbackToLogsOnError")
    })
}

fn read(path: &Path) -> String {
    let mut bytes = Vec::new();
    // A container may have put anything there; what cannot be read says nothing.
    if let Ok(file) = std::fs::File::open(path) {
        let _ = file.take(LONGEST).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

async fn last_lines(runtime: &dyn ContainerRuntime, id: &str, tty: bool) -> String {
    let options = LogOptions { tail: Some(LOG_LINES), tty, ..LogOptions::default() };
    let pieces: Vec<_> = runtime.logs(id, &options).try_collect().await.unwrap_or_default();
    let all = pieces.concat();
    String::from_utf8_lossy(&all[all.len().saturating_sub(LOG_BYTES)..]).into_owned()
}
