//! Our nouns in Docker's words, and back. Pure.

use std::collections::HashMap;

use bollard::models::{
    ContainerCreateBody, ContainerInspectResponse, ContainerStateStatusEnum, HealthConfig, HostConfig,
    HostConfigLogConfig, ImageInspect, Mount as DockerMount, MountBindOptions, MountBindOptionsPropagationEnum,
    MountType, RestartPolicy, RestartPolicyNameEnum,
};
use jiff::Timestamp;

use super::pause;
use crate::pods::runtime::{
    AppArmor, Container, ContainerSpec, ContainerState, Exit, Image, Mount, Observed, PodId, Propagation, Sandbox,
    SandboxSpec, Seccomp, Security, labels, timestamp,
};

/// Weight of the sandbox's process (kubelet `MinShares`).
const SANDBOX_CPU_SHARES: i64 = 2;
/// The sandbox goes last when memory runs out (kubelet `PodInfraOOMAdj`).
const SANDBOX_OOM_SCORE: i64 = -998;
/// Size of /dev/shm, bytes.
const SHM_SIZE: i64 = 64 << 20;

/// Processes and threads of a container. The kubelet's default (`podPidsLimit` -1) leaves it to the
/// node, which one container could then fill for all.
const MOST_PROCESSES: i64 = 4096;

/// What Docker is asked for a sandbox.
pub(super) fn sandbox_body(node: &str, cgroup_parent: Option<&str>, spec: &SandboxSpec) -> ContainerCreateBody {
    let network = if spec.host.network { "host" } else { "none" };
    ContainerCreateBody {
        // A host's own name cannot be combined with the host's network.
        hostname: (!spec.host.network && !spec.hostname.is_empty()).then(|| spec.hostname.clone()),
        image: Some(pause::IMAGE.to_owned()),
        entrypoint: Some(vec![pause::PROGRAM.to_owned()]),
        labels: Some(labels::of_sandbox(node, spec)),
        host_config: Some(HostConfig {
            network_mode: Some(network.to_owned()),
            ipc_mode: Some(if spec.host.ipc { "host" } else { "shareable" }.to_owned()),
            pid_mode: spec.host.pid.then(|| "host".to_owned()),
            cgroup_parent: cgroup_parent.map(str::to_owned),
            cpu_shares: Some(SANDBOX_CPU_SHARES),
            oom_score_adj: Some(SANDBOX_OOM_SCORE),
            security_opt: Some(vec!["no-new-privileges".to_owned()]),
            sysctls: (!spec.sysctls.is_empty()).then(|| spec.sysctls.iter().cloned().collect()),
            shm_size: Some(SHM_SIZE),
            ..host_config()
        }),
        ..ContainerCreateBody::default()
    }
}

/// What Docker is asked for a container.
pub(super) fn container_body(
    node: &str,
    cgroup_parent: Option<&str>,
    pod: &PodId,
    sandbox: &str,
    spec: &ContainerSpec,
) -> ContainerCreateBody {
    let join = format!("container:{sandbox}");
    let pid_mode = if spec.host.pid { Some("host".to_owned()) } else { spec.share_pid.then(|| join.clone()) };
    let security = &spec.security;
    let limits = &spec.resources;
    ContainerCreateBody {
        image: Some(spec.image.clone()),
        entrypoint: (!spec.command.is_empty()).then(|| spec.command.clone()),
        cmd: (!spec.args.is_empty()).then(|| spec.args.clone()),
        env: Some(spec.env.iter().map(|(name, value)| format!("{name}={value}")).collect()),
        working_dir: (!spec.working_dir.is_empty()).then(|| spec.working_dir.clone()),
        user: (!security.user.is_empty()).then(|| security.user.clone()),
        labels: Some(labels::of_container(node, pod, sandbox, spec)),
        open_stdin: Some(spec.stdin),
        stdin_once: Some(spec.stdin_once),
        tty: Some(spec.tty),
        // Probes are ours; a HEALTHCHECK of the image must not run beside them.
        healthcheck: Some(HealthConfig { test: Some(vec!["NONE".to_owned()]), ..HealthConfig::default() }),
        host_config: Some(HostConfig {
            network_mode: Some(join.clone()),
            ipc_mode: Some(if spec.host.ipc { "host".to_owned() } else { join }),
            pid_mode,
            uts_mode: spec.host.network.then(|| "host".to_owned()),
            cgroup_parent: cgroup_parent.map(str::to_owned),
            mounts: Some(spec.mounts.iter().map(mount).collect()),
            cpu_shares: Some(limits.cpu_shares),
            cpu_quota: (limits.cpu_quota > 0).then_some(limits.cpu_quota),
            cpu_period: (limits.cpu_quota > 0).then_some(limits.cpu_period),
            memory: (limits.memory > 0).then_some(limits.memory),
            memory_swap: (limits.memory > 0).then_some(limits.memory),
            oom_score_adj: Some(limits.oom_score_adj),
            privileged: Some(security.privileged),
            readonly_rootfs: Some(security.read_only_root),
            cap_add: some(&security.add),
            cap_drop: some(&security.drop),
            group_add: some(&security.groups),
            security_opt: some(&security_options(security)),
            pids_limit: Some(MOST_PROCESSES),
            shm_size: Some(SHM_SIZE),
            ..host_config()
        }),
        ..ContainerCreateBody::default()
    }
}

/// All but a seccomp profile of the node's, whose content the engine wants.
fn security_options(security: &Security) -> Vec<String> {
    let mut options: Vec<String> = security.se_linux.iter().map(|label| format!("label={label}")).collect();
    if security.no_new_privileges {
        options.push("no-new-privileges".to_owned());
    }
    if security.seccomp == Seccomp::Unconfined {
        options.push("seccomp=unconfined".to_owned());
    }
    match &security.app_armor {
        AppArmor::Unasked | AppArmor::Default => {}
        AppArmor::Unconfined => options.push("apparmor=unconfined".to_owned()),
        AppArmor::Localhost(profile) => options.push(format!("apparmor={profile}")),
    }
    options
}

fn some(list: &[String]) -> Option<Vec<String>> {
    (!list.is_empty()).then(|| list.to_vec())
}

/// What sandboxes and containers have in common.
fn host_config() -> HostConfig {
    HostConfig {
        // Restarting is the agent's business.
        restart_policy: Some(RestartPolicy { name: Some(RestartPolicyNameEnum::NO), maximum_retry_count: None }),
        // Whatever the engine's default is, this one can be read back. Sizes as of the kubelet.
        log_config: Some(HostConfigLogConfig {
            typ: Some("json-file".to_owned()),
            config: Some(HashMap::from([
                ("max-size".to_owned(), "10m".to_owned()),
                ("max-file".to_owned(), "5".to_owned()),
            ])),
        }),
        ..HostConfig::default()
    }
}

fn mount(mount: &Mount) -> DockerMount {
    let propagation = match mount.propagation {
        Propagation::Private => MountBindOptionsPropagationEnum::RPRIVATE,
        Propagation::HostToContainer => MountBindOptionsPropagationEnum::RSLAVE,
        Propagation::Bidirectional => MountBindOptionsPropagationEnum::RSHARED,
    };
    DockerMount {
        typ: Some(MountType::BIND),
        source: Some(mount.source.clone()),
        target: Some(mount.target.clone()),
        read_only: Some(mount.read_only),
        bind_options: Some(MountBindOptions { propagation: Some(propagation), ..MountBindOptions::default() }),
        ..DockerMount::default()
    }
}

/// Sorts what Docker shows into sandboxes and containers. `images` maps image ids to the ids that
/// a pod's status shows.
pub(super) fn observed<'a>(
    found: impl Iterator<Item = &'a ContainerInspectResponse>,
    images: &HashMap<String, String>,
) -> Observed {
    let mut all = Observed::default();
    for one in found {
        match label(one, labels::TYPE) {
            labels::TYPE_SANDBOX => all.sandboxes.push(sandbox(one)),
            labels::TYPE_CONTAINER => all.containers.push(container(one, images)),
            _ => {}
        }
    }
    all.sandboxes.sort_by_key(|sandbox| std::cmp::Reverse(sandbox.attempt));
    all.containers.sort_by_key(|container| std::cmp::Reverse((container.attempt, container.created)));
    all
}

/// One sandbox.
pub(super) fn sandbox(found: &ContainerInspectResponse) -> Sandbox {
    let state = found.state.as_ref();
    let running = state.and_then(|state| state.running) == Some(true);
    let pid = state.and_then(|state| state.pid).and_then(|pid| i32::try_from(pid).ok());
    Sandbox {
        id: found.id.clone().unwrap_or_default(),
        attempt: label(found, labels::RESTART_COUNT).parse().unwrap_or_default(),
        pid: pid.filter(|pid| running && *pid > 0),
        address: label(found, labels::ADDRESS).parse().ok(),
        created: timestamp(found.created.as_deref()).unwrap_or(Timestamp::UNIX_EPOCH),
    }
}

fn container(found: &ContainerInspectResponse, images: &HashMap<String, String>) -> Container {
    let image = found.image.as_deref().unwrap_or_default();
    let config = found.config.as_ref();
    let created = timestamp(found.created.as_deref()).unwrap_or(Timestamp::UNIX_EPOCH);
    Container {
        id: found.id.clone().unwrap_or_default(),
        name: label(found, labels::CONTAINER_NAME).to_owned(),
        attempt: label(found, labels::RESTART_COUNT).parse().unwrap_or_default(),
        sandbox: label(found, labels::SANDBOX_ID).to_owned(),
        hash: label(found, labels::HASH).to_owned(),
        image: config.and_then(|config| config.image.clone()).unwrap_or_default(),
        image_id: images.get(image).cloned().unwrap_or_else(|| format!("docker://{image}")),
        tty: config.and_then(|config| config.tty).unwrap_or_default(),
        created,
        state: state(found, created),
    }
}

/// The mapping of cri-dockerd's `container_status.go`.
fn state(found: &ContainerInspectResponse, created: Timestamp) -> ContainerState {
    let Some(state) = found.state.as_ref() else { return ContainerState::Created };
    let started = timestamp(state.started_at.as_deref());
    if state.running == Some(true) {
        return ContainerState::Running { started: started.unwrap_or(created) };
    }
    let code = i32::try_from(state.exit_code.unwrap_or_default()).unwrap_or(-1);
    let message = state.error.clone().unwrap_or_default();
    let never_started = state.status == Some(ContainerStateStatusEnum::CREATED) || started.is_none();
    if never_started && code == 0 {
        return ContainerState::Created;
    }
    let reason = if never_started {
        "ContainerCannotRun"
    } else if state.oom_killed == Some(true) {
        "OOMKilled"
    } else if code == 0 {
        "Completed"
    } else {
        "Error"
    };
    ContainerState::Exited(Exit {
        code,
        reason: reason.to_owned(),
        message,
        started,
        finished: timestamp(state.finished_at.as_deref()).unwrap_or(created),
    })
}

/// One image.
pub(super) fn image(found: ImageInspect) -> Image {
    let id = found.id.unwrap_or_default();
    let digest = found.repo_digests.unwrap_or_default().into_iter().next();
    Image {
        reference_id: digest.map_or_else(|| format!("docker://{id}"), |digest| format!("docker-pullable://{digest}")),
        id,
        user: found.config.and_then(|config| config.user).unwrap_or_default(),
        size: found.size.unwrap_or_default(),
    }
}

fn label<'a>(found: &'a ContainerInspectResponse, key: &str) -> &'a str {
    let labels = found.config.as_ref().and_then(|config| config.labels.as_ref());
    labels.and_then(|labels| labels.get(key)).map_or("", String::as_str)
}
