//! Commands in containers, which end when their time is over.
//!
//! The engine has no request that ends a command: its process is asked for and killed on the node.

use std::{fs, time::Duration};

use bollard::{
    Docker,
    exec::{CreateExecOptions, StartExecResults},
};
use futures::TryStreamExt;
use nix::{
    sys::signal::{Signal, kill, killpg},
    unistd::{Pid, getpgid},
};
use tracing::debug;

use super::failure;
use crate::pods::runtime::{ExecResult, RuntimeError};

/// What is kept of a command's output (upstream: `maxRespBodyLength` of probes).
const OUTPUT: usize = 10 << 10;
/// A command may be on its way into the container when its time is over: how often it is looked for.
const LOOKS: u32 = 50;
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(100);

/// Runs a command to its end, or to the end of its time: then it is killed.
pub(super) async fn run(
    docker: &Docker,
    id: &str,
    command: &[String],
    timeout: Duration,
) -> Result<ExecResult, RuntimeError> {
    let options = CreateExecOptions {
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        cmd: Some(command.to_vec()),
        ..CreateExecOptions::default()
    };
    let exec = docker.create_exec(id, options).await.map_err(failure)?.id;
    match tokio::time::timeout(timeout, attend(docker, &exec)).await {
        Ok(result) => result,
        Err(_) => {
            // Whoever waits for the answer waits no longer than it said.
            tokio::spawn(end(docker.clone(), exec));
            Err(RuntimeError::TimedOut(format!("command timed out after {timeout:?}")))
        }
    }
}

async fn attend(docker: &Docker, exec: &str) -> Result<ExecResult, RuntimeError> {
    let mut text = String::new();
    if let StartExecResults::Attached { mut output, .. } = docker.start_exec(exec, None).await.map_err(failure)? {
        while let Some(piece) = output.try_next().await.map_err(failure)? {
            if text.len() < OUTPUT {
                text.push_str(&piece.to_string());
            }
        }
    }
    let end = docker.inspect_exec(exec).await.map_err(failure)?;
    Ok(ExecResult { code: end.exit_code.unwrap_or(-1), output: text })
}

/// Kills a command, which may be about to start.
async fn end(docker: Docker, exec: String) {
    for _ in 0..LOOKS {
        // An engine that does not know it any more has seen its end.
        let Ok(seen) = docker.inspect_exec(&exec).await else { return };
        let pid = seen.pid.and_then(|pid| i32::try_from(pid).ok()).filter(|pid| *pid > 0);
        match (seen.running, pid) {
            (Some(true), Some(pid)) => return kill_in(Pid::from_raw(pid), &seen.container_id.unwrap_or_default()),
            // It has ended.
            (_, Some(_)) => return,
            _ if seen.exit_code.is_some() => return,
            _ => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// Kills a process, with those it started, if it is one of the container: an engine may run
/// elsewhere, and numbers are used again.
fn kill_in(pid: Pid, container: &str) {
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    if container.is_empty() || !groups.contains(container) {
        return;
    }
    let leads = getpgid(Some(pid)) == Ok(pid);
    let killed = if leads { killpg(pid, Signal::SIGKILL) } else { kill(pid, Signal::SIGKILL) };
    debug!(%pid, container, ?killed, "a command took too long");
}

#[cfg(test)]
mod tests;
