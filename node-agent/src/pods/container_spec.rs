//! A container of a pod as a specification for the runtime (kubelet `generateContainerConfig`).
//! Pure.

use std::{collections::BTreeMap, path::Path};

use k8s_openapi::api::core::v1::{Container, Pod, PodSecurityContext, SecurityContext, Volume, VolumeMount};

use super::{
    env::{Environment, expand},
    message::Failure,
    paths::PodPaths,
    pod::{self, PodExt},
    resources::{self, Allocatable},
    runtime::{ContainerSpec, Image, Mount, Propagation, Security},
    volumes::{self, SubPath},
};

/// Default of `terminationMessagePath`.
const TERMINATION_PATH: &str = "/dev/termination-log";

/// What must be known besides the pod's object.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances<'a> {
    /// Restart count.
    pub attempt: u32,
    /// The image, present.
    pub image: &'a Image,
    /// The environment.
    pub environment: &'a Environment,
    /// The pod's files.
    pub paths: &'a PodPaths,
    /// The node.
    pub node: Allocatable,
}

/// A container, and what must be mounted before it is created.
#[derive(Clone, Debug)]
pub struct Built {
    /// For the runtime.
    pub spec: ContainerSpec,
    /// Parts of volumes, whose places the specification mounts.
    pub sub_paths: Vec<SubPath>,
}

/// The specification of one container.
///
/// # Errors
/// `CreateContainerConfigError` when the definition cannot be fulfilled.
pub fn build(pod: &Pod, container: &Container, with: Circumstances<'_>) -> Result<Built, Failure> {
    let spec = PodExt::spec(pod);
    let variables = with.environment.map();
    let expand_all = |words: &Option<Vec<String>>| -> Vec<String> {
        words.iter().flatten().map(|word| expand(word, &variables)).collect()
    };
    let termination_path =
        container.termination_message_path.clone().filter(|path| !path.is_empty()).unwrap_or(TERMINATION_PATH.into());
    let (mut mounts, sub_paths) = volume_mounts(pod, container, &variables, with.paths)?;
    let message = with.paths.termination_message(&container.name, with.attempt);
    mounts.push(bind(&message, &termination_path));
    for (file, target) in [(with.paths.hosts(), "/etc/hosts"), (with.paths.resolv_conf(), "/etc/resolv.conf")] {
        // A container that mounts its own wins.
        if !mounts.iter().any(|mount| mount.target == target) {
            mounts.push(bind(&file, target));
        }
    }
    let spec = ContainerSpec {
        name: container.name.clone(),
        attempt: with.attempt,
        hash: pod::hash(container),
        image: container.image.clone().unwrap_or_default(),
        command: expand_all(&container.command),
        args: expand_all(&container.args),
        env: with.environment.variables.clone(),
        working_dir: container.working_dir.clone().unwrap_or_default(),
        mounts,
        stdin: container.stdin == Some(true),
        stdin_once: container.stdin_once == Some(true),
        tty: container.tty == Some(true),
        resources: resources::of(spec, container, with.node),
        security: security(spec.security_context.as_ref(), container.security_context.as_ref(), with.image)?,
        share_pid: spec.share_process_namespace == Some(true),
        host: pod.host_namespaces(),
        termination_path,
    };
    Ok(Built { spec, sub_paths })
}

fn bind(source: &Path, target: &str) -> Mount {
    Mount {
        source: source.to_string_lossy().into_owned(),
        target: target.to_owned(),
        read_only: false,
        propagation: Propagation::Private,
    }
}

fn volume_mounts(
    pod: &Pod,
    container: &Container,
    variables: &BTreeMap<&str, &str>,
    paths: &PodPaths,
) -> Result<(Vec<Mount>, Vec<SubPath>), Failure> {
    let (mut mounts, mut sub_paths) = (Vec::new(), Vec::new());
    for (index, mount) in container.volume_mounts.iter().flatten().enumerate() {
        let volume = PodExt::spec(pod).volumes.iter().flatten().find(|volume| volume.name == mount.name);
        let volume = volume.ok_or_else(|| refuse(format!("volume \"{}\" not found", mount.name)))?;
        let mut source = volumes::path(volume, paths);
        if let Some(relative) = sub_path(mount, variables)? {
            let place = paths.sub_path(&volume.name, &container.name, index);
            sub_paths.push(SubPath { root: source, relative: relative.into(), place: place.clone() });
            source = place;
        }
        mounts.push(volume_mount(volume, mount, &source));
    }
    Ok((mounts, sub_paths))
}

fn refuse(message: String) -> Failure {
    Failure::new("CreateContainerConfigError", message)
}

/// The part of the volume that is mounted, when it is not the whole.
fn sub_path(mount: &VolumeMount, variables: &BTreeMap<&str, &str>) -> Result<Option<String>, Failure> {
    let path = match (&mount.sub_path_expr, &mount.sub_path) {
        (Some(expression), _) if !expression.is_empty() => {
            let expanded = expand(expression, variables);
            if expanded.contains("$(") {
                return Err(refuse(format!("missing value for \"{expression}\" in volume mount \"{}\"", mount.name)));
            }
            expanded
        }
        (_, Some(path)) if !path.is_empty() => path.clone(),
        _ => return Ok(None),
    };
    if path.starts_with('/') || path.split('/').any(|part| part == "..") {
        return Err(refuse(format!("invalid subPath \"{path}\" in volume mount \"{}\"", mount.name)));
    }
    Ok(Some(path))
}

fn volume_mount(volume: &Volume, mount: &VolumeMount, source: &Path) -> Mount {
    let projected = volume.config_map.is_some()
        || volume.secret.is_some()
        || volume.downward_api.is_some()
        || volume.projected.is_some();
    Mount {
        source: source.to_string_lossy().into_owned(),
        target: absolute(&mount.mount_path),
        // Upstream, too, mounts what it projects read-only, whatever was asked.
        read_only: mount.read_only == Some(true) || projected,
        propagation: match mount.mount_propagation.as_deref() {
            Some("HostToContainer") => Propagation::HostToContainer,
            Some("Bidirectional") => Propagation::Bidirectional,
            _ => Propagation::Private,
        },
    }
}

fn absolute(path: &str) -> String {
    if path.starts_with('/') { path.to_owned() } else { format!("/{path}") }
}

fn security(
    pod: Option<&PodSecurityContext>,
    container: Option<&SecurityContext>,
    image: &Image,
) -> Result<Security, Failure> {
    let user = container.and_then(|c| c.run_as_user).or(pod.and_then(|p| p.run_as_user));
    let group = container.and_then(|c| c.run_as_group).or(pod.and_then(|p| p.run_as_group));
    let non_root = container.and_then(|c| c.run_as_non_root).or(pod.and_then(|p| p.run_as_non_root));
    if non_root == Some(true) {
        check_non_root(user, image)?;
    }
    let user = match (user, group) {
        (Some(user), Some(group)) => format!("{user}:{group}"),
        (Some(user), None) => user.to_string(),
        (None, Some(group)) => {
            let own = image.user.split(':').next().filter(|user| !user.is_empty()).unwrap_or("0");
            format!("{own}:{group}")
        }
        (None, None) => String::new(),
    };
    let mut groups: Vec<i64> = pod.and_then(|p| p.supplemental_groups.clone()).unwrap_or_default();
    groups.extend(pod.and_then(|p| p.fs_group));
    let capabilities = container.and_then(|c| c.capabilities.as_ref());
    let seccomp = container.and_then(|c| c.seccomp_profile.as_ref()).or(pod.and_then(|p| p.seccomp_profile.as_ref()));
    Ok(Security {
        user,
        groups: groups.iter().map(ToString::to_string).collect(),
        privileged: container.and_then(|c| c.privileged) == Some(true),
        add: capabilities.and_then(|c| c.add.clone()).unwrap_or_default(),
        drop: capabilities.and_then(|c| c.drop.clone()).unwrap_or_default(),
        read_only_root: container.and_then(|c| c.read_only_root_filesystem) == Some(true),
        no_new_privileges: container.and_then(|c| c.allow_privilege_escalation) == Some(false),
        // Kubernetes' default profile is none; Docker's is its own.
        unconfined_seccomp: seccomp.is_none_or(|profile| profile.type_ == "Unconfined"),
    })
}

fn check_non_root(user: Option<i64>, image: &Image) -> Result<(), Failure> {
    let refuse = |message: String| Err(Failure::new("CreateContainerConfigError", message));
    match user {
        Some(0) => return refuse("container's runAsUser breaks non-root policy".to_owned()),
        Some(_) => return Ok(()),
        None => {}
    }
    let name = image.user.split(':').next().unwrap_or_default();
    match name.parse::<i64>() {
        Ok(0) => refuse("container has runAsNonRoot and image will run as root".to_owned()),
        Ok(_) => Ok(()),
        Err(_) if name.is_empty() || name == "root" => {
            refuse("container has runAsNonRoot and image will run as root".to_owned())
        }
        Err(_) => refuse(format!(
            "container has runAsNonRoot and image has non-numeric user ({name}), cannot verify user is non-root"
        )),
    }
}

#[cfg(test)]
mod tests;
