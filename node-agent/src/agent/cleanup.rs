//! Leaves the machine as if no agent had ever run.

use std::{fs, io, time::Duration};

use anyhow::bail;
use tracing::info;

use super::{lock, make_state_dir, node_name};
use crate::{
    config::Flags,
    dataplane::bpf,
    net,
    pods::{self, paths::Paths, runtime::docker::DockerRuntime},
    server,
};

/// How long to wait for an agent that is ending.
const PATIENCE: Duration = Duration::from_secs(5);

/// Removes containers, the image of sandboxes, programs, links, rules and routes, in this order: what could still send
/// something goes before what keeps it from leaving. Goes on after a failure.
///
/// # Errors
/// Everything that could not be removed.
pub async fn cleanup(flags: &Flags) -> anyhow::Result<()> {
    make_state_dir(&flags.state_dir)?;
    let alone = lock(&flags.state_dir, PATIENCE)?;
    let (engine, mut problems) = remove_pods(flags).await;
    problems.extend(bpf::cleanup(&flags.bpffs).err().map(|error| error.to_string()));
    bpf::clean_cgroup(flags.cgroup_root.as_deref());
    problems.extend(net::cleanup(&flags.state_dir, engine).await.iter().map(ToString::to_string));
    drop(alone);
    problems.extend(remove_files(flags).err().map(|error| error.to_string()));
    if problems.is_empty() {
        info!("nothing of the agent is left");
        return Ok(());
    }
    bail!("not everything could be removed:\n  {}", problems.join("\n  "));
}

/// Whether a container engine answers, and what could not be removed.
async fn remove_pods(flags: &Flags) -> (bool, Vec<String>) {
    let name = match node_name(flags) {
        Ok(name) => name,
        Err(error) => return (false, vec![error.to_string()]),
    };
    let cgroup_parent = flags.container_cgroup_parent.clone();
    let runtime = match DockerRuntime::connect(&flags.docker_host, &name, cgroup_parent).await {
        Ok(runtime) => runtime,
        Err(error) => return (false, vec![error.to_string()]),
    };
    let network = match net::Disconnector::open() {
        Ok(network) => network,
        Err(error) => return (true, vec![error.to_string()]),
    };
    let removed = pods::cleanup(&runtime, &Paths::new(&flags.state_dir), &network).await;
    let mut problems = removed.err().map(|error| error.problems).unwrap_or_default();
    let image = runtime.remove_sandbox_image().await;
    problems.extend(image.err().map(|error| format!("the image of sandboxes: {error}")));
    (true, problems)
}

/// Files of the agent's own. A folder that holds others' files stays.
fn remove_files(flags: &Flags) -> io::Result<()> {
    for path in [server::socket(&flags.state_dir), flags.state_dir.join("agent.lock")] {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    match fs::remove_dir(&flags.state_dir) {
        Err(error) if error.kind() != io::ErrorKind::DirectoryNotEmpty => Err(error),
        _ => Ok(()),
    }
}
