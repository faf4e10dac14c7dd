//! `cargo xtask up`: from a checkout to a running cluster with a sample on it.
//!
//! Every piece is started only when it is not there, so a second `up` mends what died and otherwise changes nothing.

use std::path::Path;
use std::time::Instant;

use anyhow::Result;

use super::kubectl::Kubectl;
use super::state::{Record, StateDir};
use super::{Store, engine, etcd, images, members, sample, traces};
use crate::workspace::{Profile, Workspace};
use crate::{build, setup};

/// Sets up, builds, starts, shows the sample.
///
/// # Errors
/// When a step fails; the message names the log to read.
pub(crate) fn run(workspace: &Workspace, state: &StateDir, store: Store, profile: Profile) -> Result<()> {
    setup::require_root("make pods' networks and load BPF programs")?;
    let kubectl = Kubectl::new(state);
    if is_running(state) && kubectl.is_ready() {
        println!("the cluster in {} is already running", state.root().display());
        print_next_steps(state);
        return Ok(());
    }
    setup::run(workspace)?;
    build::all(workspace, profile)?;
    start(state, &workspace.bin_dir(profile), store)?;
    if images::ensure_hello(&workspace.hello(profile), state)? {
        println!("image      {}", images::HELLO);
    }
    sample::apply(workspace, &kubectl)?;
    sample::await_rollout(&kubectl).map_err(|error| members::agent(state).explain(&error))?;
    println!("running    the sample of examples/hello.yaml");
    sample::show(&kubectl).map_err(|error| members::agent(state).explain(&error))?;
    print_next_steps(state);
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
    if !engine::answers() {
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

/// Written before anything is started, so that `down` finds even half a cluster.
fn record(state: &StateDir, bin_dir: &Path, store: Store) -> Result<Record> {
    let earlier = state.record()?;
    let record = Record {
        bin_dir: bin_dir.to_owned(),
        store: earlier.as_ref().map_or(store, |earlier| earlier.store),
        is_engine_ours: earlier.as_ref().is_some_and(|earlier| earlier.is_engine_ours) || !engine::answers(),
        engine_traces: earlier.map_or_else(traces::absent, |earlier| earlier.engine_traces),
    };
    if record.store != store {
        println!("the cluster in {} keeps its truth in the store that it was made with", state.root().display());
    }
    state.write_record(&record)?;
    Ok(record)
}

fn step(what: &str, act: impl FnOnce() -> Result<()>) -> Result<()> {
    let started = Instant::now();
    act()?;
    println!("started    {what} ({:.1} s)", started.elapsed().as_secs_f64());
    Ok(())
}

fn is_running(state: &StateDir) -> bool {
    [members::server(state), members::agent(state)].iter().all(|daemon| daemon.pid().is_some())
}

fn print_next_steps(state: &StateDir) {
    println!("\n  export KUBECONFIG={}\n", state.kubeconfig().display());
    println!("  kubectl get nodes,pods,services --all-namespaces --output wide");
    println!("  kubectl scale deployment/hello --replicas=5");
    println!("  curl http://$(kubectl get service hello --output jsonpath={{.spec.clusterIP}})/");
    println!("\nlogs are in {}; `cargo xtask down` takes everything away again", state.root().join("log").display());
}
