//! `cargo xtask down`: takes away everything that an `up` made, and nothing else.
//!
//! It goes on after a failure, so that one stuck piece does not keep the others, and tells all failures at the end.

use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::process::Daemon;
use super::state::{Record, StateDir};
use super::{engine, etcd, images, members, mounts, traces};
use crate::setup;

/// Removes the cluster in `state`.
///
/// # Errors
/// With everything that could not be removed.
pub(crate) fn run(state: &StateDir) -> Result<()> {
    let Some(record) = state.record()? else {
        println!("no cluster runs in {}: nothing to do", state.root().display());
        return Ok(());
    };
    setup::require_root("take the cluster away")?;
    let mut teardown = Teardown::default();
    teardown.stop(&members::agent(state), Duration::from_secs(15));
    teardown.attempt(|| node(state, &record));
    teardown.stop(&members::server(state), Duration::from_secs(15));
    teardown.stop(&etcd::daemon(state), Duration::from_secs(15));
    if record.is_engine_ours {
        teardown.stop(&engine::daemon(state), Duration::from_secs(60));
        teardown.attempt(|| engine_traces(state, &record));
    } else {
        teardown.attempt(our_images);
    }
    if teardown.failures.is_empty() {
        teardown.attempt(|| files(state));
    } else {
        println!("kept       {}: it says what is left to remove", state.root().display());
    }
    teardown.finish()
}

/// Failures, kept until the end.
#[derive(Debug, Default)]
struct Teardown {
    failures: Vec<anyhow::Error>,
}

impl Teardown {
    fn attempt(&mut self, act: impl FnOnce() -> Result<()>) {
        if let Err(error) = act() {
            self.failures.push(error);
        }
    }

    fn stop(&mut self, daemon: &Daemon, patience: Duration) {
        self.attempt(|| {
            if daemon.stop(patience)? {
                println!("stopped    {}", daemon.name());
            }
            Ok(())
        });
    }

    fn finish(self) -> Result<()> {
        if self.failures.is_empty() {
            println!("the cluster is gone");
            return Ok(());
        }
        let told: Vec<_> = self.failures.iter().map(|error| format!("  {error:#}")).collect();
        bail!("not everything could be taken away:\n{}", told.join("\n"));
    }
}

/// Containers, links, routes, rules and pinned programs: only the agent knows which are its own.
fn node(state: &StateDir, record: &Record) -> Result<()> {
    if !state.node_kubeconfig().exists() {
        return Ok(());
    }
    members::clean_node(state, &record.bin_dir)?;
    println!("removed    the node's containers, links, routes, rules and BPF pins");
    Ok(())
}

fn our_images() -> Result<()> {
    if !engine::answers() {
        return Ok(());
    }
    for image in images::remove()? {
        println!("removed    image {image}");
    }
    Ok(())
}

fn engine_traces(state: &StateDir, record: &Record) -> Result<()> {
    let cgroups = engine::remove_cgroups()?;
    if cgroups > 0 {
        println!("removed    {cgroups} cgroups of containers");
    }
    let mounts = mounts::unmount_below(&state.docker())?;
    if mounts > 0 {
        println!("unmounted  {mounts} file systems of the engine");
    }
    let traces = traces::remove(&record.engine_traces)?;
    for trace in traces.removed {
        println!("removed    {}", trace.display());
    }
    for (trace, reason) in traces.kept {
        println!("kept       {}: {reason}", trace.display());
    }
    Ok(())
}

fn files(state: &StateDir) -> Result<()> {
    mounts::unmount_below(state.root())?;
    for path in state.contents() {
        std::fs::remove_dir_all(&path).with_context(|| format!("cannot remove {}", path.display()))?;
    }
    // Somebody's own files may lie beside ours.
    if std::fs::remove_dir(state.root()).is_ok() {
        println!("removed    {}", state.root().display());
    } else {
        println!("removed    the cluster's files in {}", state.root().display());
    }
    Ok(())
}
