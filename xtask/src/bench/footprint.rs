//! `cargo xtask bench footprint`: how quickly a server is ready, how much memory a node takes at rest, and how long the
//! way is from `kubectl apply` to pods that are ready and a ClusterIP that answers.
//!
//! It brings up a cluster of its own from an optimised build and takes it away again, also after a failure.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::series::Series;
use crate::cluster::kubectl::Kubectl;
use crate::cluster::process::resident_kib;
use crate::cluster::state::StateDir;
use crate::cluster::{Store, down, images, members, sample, up, wait};
use crate::cmd::Cmd;
use crate::workspace::{Profile, Workspace};
use crate::{build, setup};

/// How long a started cluster is left alone before its memory is read.
const REST: Duration = Duration::from_secs(10);

/// Measures on a cluster in `state`, which must not exist yet.
///
/// # Errors
/// When a cluster is there already, or a step fails.
pub(crate) fn run(workspace: &Workspace, state: &StateDir, runs: u16) -> Result<()> {
    setup::require_root("bring up the cluster that is measured")?;
    if state.record()?.is_some() {
        bail!("there is a cluster in {0}: `cargo xtask down --state-dir {0}` takes it away", state.root().display());
    }
    setup::run(workspace)?;
    build::all(workspace, Profile::Release)?;
    let report = both(measure(workspace, state, runs), down::run(workspace, state))?;
    println!("\n{report}");
    Ok(())
}

/// What was measured, when the cluster is gone, too; else every error that there was.
fn both(measured: Result<String>, gone: Result<()>) -> Result<String> {
    match (measured, gone) {
        (Ok(report), Ok(())) => Ok(report),
        (Ok(report), Err(left)) => Err(left.context(format!("measured, but the cluster is not gone:\n{report}\n"))),
        (Err(error), Ok(())) => Err(error),
        (Err(error), Err(left)) => bail!("{error:#}\nand after that: {left:#}"),
    }
}

fn measure(workspace: &Workspace, state: &StateDir, runs: u16) -> Result<String> {
    let bin_dir = workspace.bin_dir(Profile::Release);
    up::start(state, &bin_dir, Store::Embedded)?;
    images::ensure_hello(&workspace.hello(Profile::Release), state)?;
    std::thread::sleep(REST);
    let memory = memory(state)?;

    let kubectl = Kubectl::new(state);
    let deployed = repeat(runs, "apply to answer", || deploy(workspace, &kubectl))?;

    members::agent(state).stop(Duration::from_secs(15))?;
    let server = repeat(runs, "server start", || restart_server(state, &bin_dir))?;

    Ok(format!(
        "server: exec to /readyz                              {server}\n\
         memory at rest (VmRSS)                               {memory}\n\
         kubectl apply to 3 pods Ready and ClusterIP answers  {deployed}"
    ))
}

fn repeat(runs: u16, what: &str, mut once: impl FnMut() -> Result<Duration>) -> Result<Series> {
    let mut samples = Vec::new();
    for run in 1..=runs {
        let sample = once()?;
        println!("measured   {what} {run}/{runs}: {} ms", sample.as_millis());
        samples.push(sample);
    }
    Series::of(samples).context("nothing was measured")
}

fn memory(state: &StateDir) -> Result<String> {
    let mib = |daemon: crate::cluster::process::Daemon| -> Result<f64> {
        let pid = daemon.pid().with_context(|| format!("{} does not run", daemon.name()))?;
        Ok(f64::from(u32::try_from(resident_kib(pid)?)?) / 1024.0)
    };
    let (server, agent) = (mib(members::server(state))?, mib(members::agent(state))?);
    Ok(format!("{:.1} MiB (server {server:.1}, agent with DNS {agent:.1})", server + agent))
}

/// The clock starts before kubectl does, as a user's would.
fn deploy(workspace: &Workspace, kubectl: &Kubectl) -> Result<Duration> {
    let started = Instant::now();
    sample::apply(workspace, kubectl)?;
    sample::await_rollout(kubectl)?;
    let address = sample::cluster_ip(kubectl)?;
    let answer = || Ok(sample::call(address).ok());
    wait::until_every(Duration::from_millis(5), "the ClusterIP to answer", Duration::from_secs(30), answer)?;
    let took = started.elapsed();
    sample::delete(workspace, kubectl)?;
    Ok(took)
}

/// From the start of the process to its first 200 on /readyz; curl's own start, a few milliseconds, is part of it.
fn restart_server(state: &StateDir, bin_dir: &std::path::Path) -> Result<Duration> {
    let daemon = members::server(state);
    daemon.stop(Duration::from_secs(15))?;
    let started = Instant::now();
    members::start_server(state, bin_dir, Store::Embedded)?;
    let url = format!("https://{}/readyz", members::ADDRESS);
    let probe = || {
        daemon.require_alive()?;
        // Loopback, and the answer carries no secret: the certificate is not looked at.
        let ready = Cmd::new("curl").args(["--silent", "--fail", "--insecure", "--max-time", "2", &url]).succeeds();
        Ok(ready.then(|| started.elapsed()))
    };
    wait::until_every(Duration::from_millis(1), "/readyz", Duration::from_secs(30), probe)
        .map_err(|error| daemon.explain(&error))
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn a_failed_removal_after_a_failed_measurement_is_told_too() {
        let error = both(Err(anyhow!("no answer")), Err(anyhow!("a mount stays"))).unwrap_err().to_string();
        assert_eq!(error, "no answer\nand after that: a mount stays");
    }

    #[test]
    fn a_failed_removal_does_not_lose_what_was_measured() {
        let error = both(Ok("12 ms".to_owned()), Err(anyhow!("a mount stays"))).unwrap_err();
        let told = format!("{error:#}");
        assert!(told.contains("12 ms") && told.contains("a mount stays"), "{told}");
        assert_eq!(both(Ok("12 ms".to_owned()), Ok(())).unwrap(), "12 ms");
    }
}
