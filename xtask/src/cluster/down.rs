//! `cargo xtask down`: takes away everything that an `up` made, and nothing else.
//!
//! It goes on after a failure, so that one stuck piece does not keep the others, and tells all failures at the end. What
//! a later `down` needs to go on stays: the node is cleaned before the engine goes that holds its containers, and an
//! engine of ours that died comes back for that.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::process::Daemon;
use super::state::{Record, StateDir};
use super::{engine, etcd, images, members, mounts, traces};
use crate::workspace::{Profile, Workspace};
use crate::{build, setup};

/// Removes the cluster in `state`.
///
/// # Errors
/// With everything that could not be removed.
pub(crate) fn run(workspace: &Workspace, state: &StateDir) -> Result<()> {
    let Some(record) = state.record()? else {
        println!("no `cargo xtask up` made a cluster in {}: nothing to do", state.root().display());
        return Ok(());
    };
    setup::require_root("take the cluster away")?;
    take_away(state, &record, || node(workspace, state, &record))
}

fn take_away(state: &StateDir, record: &Record, clean_node: impl FnOnce() -> Result<()>) -> Result<()> {
    let mut teardown = Teardown::default();
    teardown.stop(&members::agent(state), Duration::from_secs(15));
    let is_node_clean = teardown.attempt(clean_node);
    teardown.stop(&members::server(state), Duration::from_secs(15));
    teardown.stop(&etcd::daemon(state), Duration::from_secs(15));
    match (is_node_clean, record.is_engine_ours) {
        (true, true) => {
            teardown.stop(&engine::daemon(state), Duration::from_secs(60));
            teardown.attempt(|| engine_traces(state, record));
        }
        (true, false) => drop(teardown.attempt(our_images)),
        (false, true) => println!("kept       dockerd: it holds what is left of the node"),
        (false, false) => {}
    }
    if teardown.failures.is_empty() {
        teardown.attempt(|| files(state));
    }
    teardown.finish(state)
}

/// Failures, kept until the end.
#[derive(Debug, Default)]
struct Teardown {
    failures: Vec<anyhow::Error>,
}

impl Teardown {
    /// Gives whether it succeeded.
    fn attempt(&mut self, act: impl FnOnce() -> Result<()>) -> bool {
        act().map_err(|error| self.failures.push(error)).is_ok()
    }

    fn stop(&mut self, daemon: &Daemon, patience: Duration) {
        self.attempt(|| {
            if daemon.stop(patience)? {
                println!("stopped    {}", daemon.name());
            }
            Ok(())
        });
    }

    fn finish(self, state: &StateDir) -> Result<()> {
        if self.failures.is_empty() {
            println!("the cluster is gone");
            return Ok(());
        }
        let told: Vec<_> = self.failures.iter().map(|error| format!("  {error:#}")).collect();
        bail!(
            "not everything could be taken away:\n{}\nWhen that is mended, `cargo xtask down --state-dir {}` takes the rest \
             away",
            told.join("\n"),
            state.root().display()
        );
    }
}

/// Containers, links, routes, rules and pinned programs: only the agent knows which are its own.
fn node(workspace: &Workspace, state: &StateDir, record: &Record) -> Result<()> {
    if !state.node_kubeconfig().exists() {
        return Ok(());
    }
    let others = [Profile::Release, Profile::Debug].map(|profile| workspace.bin_dir(profile));
    let bin_dir = match agent_in(&record.bin_dir, &others) {
        Some(found) => found,
        None => {
            println!("missing    {}: building it anew", record.bin_dir.join(members::AGENT).display());
            build::agent(workspace).context("the agent's program, which cleans the node, is gone and does not build")?
        }
    };
    members::clean_node(state, &bin_dir, &engine_of(state, record)?)?;
    println!("removed    the node's containers, links, routes, rules and BPF pins");
    Ok(())
}

/// Where an agent's program lies: the one that ran, or another one of this checkout.
fn agent_in(first: &Path, others: &[PathBuf]) -> Option<PathBuf> {
    let dirs = std::iter::once(first).chain(others.iter().map(PathBuf::as_path));
    dirs.into_iter().find(|dir| dir.join(members::AGENT).exists()).map(Path::to_owned)
}

/// The socket of the engine that holds the node's containers.
fn engine_of(state: &StateDir, record: &Record) -> Result<PathBuf> {
    if record.is_engine_ours {
        return engine::socket(state).map_or_else(|| revive(state), Ok);
    }
    if !engine::answers() {
        bail!("the Docker engine that the cluster ran on does not answer at {}: start it", engine::SOCKET);
    }
    Ok(PathBuf::from(engine::SOCKET))
}

fn revive(state: &StateDir) -> Result<PathBuf> {
    let socket = engine::start_aside(state).context("the cluster's Docker engine is dead and does not come back")?;
    println!("started    dockerd: the cluster's engine had died, and what it holds is to be removed");
    Ok(socket)
}

fn our_images() -> Result<()> {
    if !engine::answers() {
        return Ok(());
    }
    let images = images::remove()?;
    for image in images.removed {
        println!("removed    image {image}");
    }
    for (image, reason) in images.kept {
        println!("kept       image {image}: {reason}");
    }
    Ok(())
}

fn engine_traces(state: &StateDir, record: &Record) -> Result<()> {
    let strays = engine::end_strays(state)?;
    if strays > 0 {
        println!("ended      {strays} processes that a killed engine left");
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Store;
    use crate::cmd::Cmd;

    #[test]
    fn a_failed_clean_up_leaves_the_engine_for_the_next_one() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::new(dir.path()).unwrap();
        state.prepare().unwrap();
        let record = Record {
            bin_dir: "/b".into(),
            store: Store::Embedded,
            is_engine_ours: true,
            engine_traces: Vec::new(),
            has_sample: true,
        };
        state.write_record(&record).unwrap();
        let (engine, server) = (engine::daemon(&state), members::server(&state));
        for daemon in [&engine, &server] {
            daemon.start(Cmd::new("sleep").arg("60")).unwrap();
        }
        let told = take_away(&state, &record, || bail!("a container is stuck")).unwrap_err().to_string();
        assert!(told.contains("  a container is stuck\n"), "{told}");
        assert!(told.contains(&format!("`cargo xtask down --state-dir {}`", dir.path().display())), "{told}");
        assert!(server.pid().is_none());
        assert!(engine.pid().is_some(), "it holds the container");
        assert_eq!(state.record().unwrap(), Some(record), "the next one knows what there was");
        engine.stop(Duration::from_secs(5)).unwrap();
    }

    #[test]
    fn an_agent_that_was_cleaned_away_is_found_in_another_build() {
        let root = tempfile::tempdir().unwrap();
        let [release, debug] = ["release", "debug"].map(|dir| root.path().join(dir));
        std::fs::create_dir(&debug).unwrap();
        let others = [release.clone(), debug.clone()];
        assert_eq!(agent_in(&release, &others), None);
        std::fs::write(debug.join(members::AGENT), "").unwrap();
        assert_eq!(agent_in(&release, &others), Some(debug));
    }
}
