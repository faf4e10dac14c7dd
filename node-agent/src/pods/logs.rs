//! Logs of containers (kubelet `GetKubeletContainerLogs`).
//!
//! In: a pod, a container's name, what of its log is wanted. Out: the log, or a sentence in
//! Kubernetes' words. Never waits for a container that has not started.

mod choose;
mod lines;

use bytes::Bytes;
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;

use self::lines::Lines;
use super::{
    pod::PodExt,
    runtime::{ContainerRuntime, LogOptions, RuntimeError},
};

/// What of a log is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogRequest {
    /// Go on until the container ends.
    pub follow: bool,
    /// The log of the container that ran before.
    pub previous: bool,
    /// Only so many last lines.
    pub tail: Option<u64>,
    /// Only lines from this time on.
    pub since: Option<Timestamp>,
    /// Each line begins with its time.
    pub timestamps: bool,
    /// No more than so many bytes.
    pub limit_bytes: Option<u64>,
}

/// Why there is no log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct LogError {
    /// HTTP status code.
    pub code: u16,
    /// The sentence.
    pub message: String,
}

impl LogError {
    pub(super) fn no_pod(name: &str) -> Self {
        Self { code: 404, message: format!("pods \"{name}\" not found") }
    }

    fn bad_request(message: String) -> Self {
        Self { code: 400, message }
    }
}

type Log = BoxStream<'static, Result<Bytes, RuntimeError>>;

/// The log of a container of `pod`.
pub(super) async fn read(
    runtime: &dyn ContainerRuntime,
    pod: &Pod,
    container: &str,
    request: &LogRequest,
) -> Result<Log, LogError> {
    let name = choose::name(pod, container)?;
    let observed = runtime.observe(pod.uid()).await;
    let observed = observed.map_err(|error| LogError { code: 500, message: error.to_string() })?;
    let container = choose::container(pod, &observed, name, request.previous)?;
    let LogRequest { follow, previous: _, tail, since, timestamps, limit_bytes } = *request;
    let options = LogOptions {
        follow,
        since,
        tail,
        // Without them lines cannot be told by their time.
        timestamps: timestamps || since.is_some(),
        tty: container.tty,
    };
    let log = runtime.logs(&container.id, &options);
    let log = match since {
        Some(since) => filter(log, Lines::new(since, timestamps)),
        None => log,
    };
    Ok(match limit_bytes {
        Some(limit) => cut(log, limit),
        None => log,
    })
}

/// The engine counts whole seconds; here it is exact.
fn filter(log: Log, lines: Lines) -> Log {
    let pieces = log.map(Some).chain(stream::iter([None]));
    let filtered = pieces.scan(lines, |lines, piece| {
        let kept = match piece {
            Some(Ok(bytes)) => Ok(lines.push(&bytes)),
            Some(Err(error)) => Err(error),
            None => Ok(lines.finish()),
        };
        std::future::ready(Some(kept))
    });
    filtered.filter(|piece| std::future::ready(!matches!(piece, Ok(bytes) if bytes.is_empty()))).boxed()
}

fn cut(log: Log, limit: u64) -> Log {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let cut = log.scan(limit, |left, piece| {
        if *left == 0 {
            return std::future::ready(None);
        }
        let piece = piece.map(|mut bytes| {
            bytes.truncate(*left);
            *left -= bytes.len();
            bytes
        });
        std::future::ready(Some(piece))
    });
    cut.boxed()
}

#[cfg(test)]
mod tests;
