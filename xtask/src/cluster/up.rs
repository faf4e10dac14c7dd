//! `cargo xtask up`: from a checkout to a running cluster with a sample on it.
//!
//! Every piece is started only when it is not there, so a second `up` mends what died and otherwise changes nothing: what
//! runs on the cluster is its user's, the sample included.

use std::path::Path;
use std::time::Instant;

use anyhow::{Result, bail};

use super::kubectl::Kubectl;
use super::state::{Record, StateDir};
use super::{Store, engine, etcd, images, members, sample, traces};
use crate::workspace::{Profile, Workspace};
use crate::{build, setup};

/// Sets up, builds, starts, shows the sample.
///
/// # Errors
/// When a step fails; the message names the log to read.
pub(crate) fn run(workspace: &Workspace, state: &StateDir, store: Option<Store>, profile: Profile) -> Result<()> {
    setup::require_root("make pods' networks and load BPF programs")?;
    let store = choose_store(state, store)?;
    if is_running(state)? {
        println!("the cluster in {} is already running", state.root().display());
        print_next_steps(state);
        return Ok(());
    }
    members::require_no_other(state)?;
    if let Some(record) = state.record()? {
        engine::require_possible(state, record.is_engine_ours)?;
    }
    setup::run(workspace)?;
    build::all(workspace, profile)?;
    start(state, &workspace.bin_dir(profile), store)?;
    if images::ensure_hello(&workspace.hello(profile), state)? {
        println!("image      {}", images::HELLO);
    }
    if needs_sample(state)? {
        run_sample(workspace, state)?;
    } else {
        println!("running    the cluster is whole again; what runs on it is as you left it");
    }
    print_next_steps(state);
    Ok(())
}

/// Whether nothing is to be done. Says what died of a cluster that was there.
fn is_running(state: &StateDir) -> Result<bool> {
    let Some(record) = state.record()? else { return Ok(false) };
    let dead = members::dead(state, &record);
    if !dead.is_empty() {
        println!("mending    the cluster in {}: {} dead", state.root().display(), told(&dead));
        return Ok(false);
    }
    Ok(Kubectl::new(state).is_ready() && members::is_node_ready(state)? && record.has_sample)
}

fn told(dead: &[&str]) -> String {
    format!("{} {}", dead.join(", "), if dead.len() == 1 { "is" } else { "are" })
}

/// Whether the sample was never there; since it was, it is the user's to scale, change or delete.
fn needs_sample(state: &StateDir) -> Result<bool> {
    Ok(state.record()?.is_none_or(|record| !record.has_sample))
}

fn run_sample(workspace: &Workspace, state: &StateDir) -> Result<()> {
    let kubectl = Kubectl::new(state);
    sample::apply(workspace, &kubectl)?;
    sample::await_rollout(&kubectl).map_err(|error| members::agent(state).explain(&error))?;
    println!("running    the sample of examples/hello.yaml");
    sample::show(&kubectl).map_err(|error| members::agent(state).explain(&error))?;
    if let Some(record) = state.record()? {
        state.write_record(&Record { has_sample: true, ..record })?;
    }
    Ok(())
}

/// Starts what does not run yet: engine, store, server, agent; returns when the node is ready.
///
/// # Errors
/// When a piece does not become ready; the message shows the end of its log.
pub(crate) fn start(state: &StateDir, bin_dir: &Path, store: Store) -> Result<()> {
    members::require_no_other(state)?;
    state.prepare()?;
    let record = record(state, bin_dir, store)?;
    engine::require_possible(state, record.is_engine_ours)?;
    if record.is_engine_ours && !engine::is_up(state) {
        step("dockerd", || engine::start(state))?;
    }
    if record.store == Store::Etcd && etcd::daemon(state).pid().is_none() {
        step("etcd", || etcd::start(state))?;
    }
    if members::server(state).pid().is_none() {
        step("server", || {
            members::start_server(state, bin_dir, record.store)?;
            members::await_server(state)
        })?;
    }
    if members::agent(state).pid().is_none() {
        step("agent", || members::start_agent(state, bin_dir))?;
    }
    step("node ready", || members::await_node(state).map(drop))
}

/// The store of the cluster in `state`, or the one that a new cluster gets.
///
/// # Errors
/// When another one is wanted than the cluster has: objects do not move from one to the other.
fn choose_store(state: &StateDir, wanted: Option<Store>) -> Result<Store> {
    let Some(present) = state.record()?.map(|record| record.store) else { return Ok(wanted.unwrap_or_default()) };
    if let Some(wanted) = wanted.filter(|wanted| *wanted != present) {
        bail!(
            "the cluster in {0} keeps its truth in {present} and cannot change to {wanted}: `cargo xtask down \
             --state-dir {0}` takes it away, or `--state-dir` names another place",
            state.root().display(),
        );
    }
    Ok(present)
}

/// Written before anything is started, so that `down` finds even half a cluster.
fn record(state: &StateDir, bin_dir: &Path, store: Store) -> Result<Record> {
    let earlier = state.record()?;
    let record = Record {
        bin_dir: bin_dir.to_owned(),
        store,
        is_engine_ours: earlier.as_ref().map_or_else(|| !engine::answers(), |earlier| earlier.is_engine_ours),
        has_sample: earlier.as_ref().is_some_and(|earlier| earlier.has_sample),
        engine_traces: earlier.map_or_else(traces::absent, |earlier| earlier.engine_traces),
    };
    state.write_record(&record)?;
    Ok(record)
}

fn step(what: &str, act: impl FnOnce() -> Result<()>) -> Result<()> {
    let started = Instant::now();
    act()?;
    println!("started    {what} ({:.1} s)", started.elapsed().as_secs_f64());
    Ok(())
}

fn print_next_steps(state: &StateDir) {
    println!("\n  export KUBECONFIG={}\n", state.kubeconfig().display());
    println!("  kubectl get nodes,pods,services --all-namespaces --output wide");
    println!("  kubectl scale deployment/hello --replicas=5");
    println!("  curl http://$(kubectl get service hello --output jsonpath={{.spec.clusterIP}})/");
    println!("\nlogs are in {}; `cargo xtask down` takes everything away again", state.root().join("log").display());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster_with(store: Store) -> (tempfile::TempDir, StateDir) {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::new(dir.path()).unwrap();
        state.prepare().unwrap();
        let record =
            Record { bin_dir: "/b".into(), store, is_engine_ours: false, engine_traces: Vec::new(), has_sample: false };
        state.write_record(&record).unwrap();
        (dir, state)
    }

    #[test]
    fn another_store_for_a_cluster_that_has_one_is_refused() {
        let (dir, state) = cluster_with(Store::Embedded);
        let told = choose_store(&state, Some(Store::Etcd)).unwrap_err().to_string();
        let place = dir.path().display();
        let begin = format!("the cluster in {place} keeps its truth in the embedded store and cannot change to etcd");
        assert!(told.starts_with(&begin), "{told}");
        assert!(told.contains(&format!("`cargo xtask down --state-dir {place}`")), "{told}");
        let (_dir, state) = cluster_with(Store::Etcd);
        assert!(choose_store(&state, Some(Store::Embedded)).is_err());
    }

    #[test]
    fn without_a_word_a_cluster_keeps_its_store() {
        let (_dir, state) = cluster_with(Store::Etcd);
        assert_eq!(choose_store(&state, None).unwrap(), Store::Etcd);
        assert_eq!(choose_store(&state, Some(Store::Etcd)).unwrap(), Store::Etcd);
    }

    #[test]
    fn a_new_cluster_gets_the_store_that_is_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::new(dir.path()).unwrap();
        assert_eq!(choose_store(&state, Some(Store::Etcd)).unwrap(), Store::Etcd);
        assert_eq!(choose_store(&state, None).unwrap(), Store::Embedded);
    }

    #[test]
    fn a_mending_up_leaves_the_sample_as_its_user_left_it() {
        let (dir, state) = cluster_with(Store::Embedded);
        assert!(needs_sample(&state).unwrap(), "an up that failed before goes on");
        let shown = Record { has_sample: true, ..state.record().unwrap().unwrap() };
        state.write_record(&shown).unwrap();
        let record = record(&state, dir.path(), Store::Embedded).unwrap();
        assert!(record.has_sample && !needs_sample(&state).unwrap());
    }

    #[test]
    fn what_died_is_named() {
        assert_eq!(told(&["dockerd"]), "dockerd is");
        assert_eq!(told(&["dockerd", "etcd"]), "dockerd, etcd are");
    }
}
