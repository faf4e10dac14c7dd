//! A container of a pod as a specification for the runtime (kubelet `generateContainerConfig`).
//! Pure.

mod isolation;

use std::{collections::BTreeMap, path::Path};

use k8s_openapi::api::core::v1::{Container, Pod, Volume, VolumeMount};

pub use self::isolation::check;
use super::{
    env::{Environment, expand},
    message::Failure,
    paths::PodPaths,
    pod::{self, PodExt},
    resources::{self, Allocatable},
    runtime::{ContainerSpec, Image, Mount, Propagation},
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
    let Container {
        name,
        image,
        command,
        args,
        working_dir,
        stdin,
        stdin_once,
        tty,
        security_context,
        termination_message_path,
        // Of the volumes, the resources and the environment, below.
        volume_mounts: _,
        resources: _,
        env: _,
        env_from: _,
        // The worker's, the machine's and the probes'.
        image_pull_policy: _,
        lifecycle: _,
        liveness_probe: _,
        readiness_probe: _,
        startup_probe: _,
        restart_policy: _,
        resize_policy: _,
        termination_message_policy: _,
        // Of the sandbox.
        ports: _,
        volume_devices,
    } = container;
    if volume_devices.as_ref().is_some_and(|devices| !devices.is_empty()) {
        return Err(refuse("volumeDevices are not supported on this node".to_owned()));
    }
    let variables = with.environment.map();
    let expand_all = |words: &Option<Vec<String>>| -> Vec<String> {
        words.iter().flatten().map(|word| expand(word, &variables)).collect()
    };
    let termination_path =
        termination_message_path.clone().filter(|path| !path.is_empty()).unwrap_or(TERMINATION_PATH.into());
    let (mut mounts, sub_paths) = volume_mounts(pod, container, &variables, with.paths)?;
    let message = with.paths.termination_message(name, with.attempt);
    mounts.push(bind(&message, &termination_path));
    for (file, target) in [(with.paths.hosts(), "/etc/hosts"), (with.paths.resolv_conf(), "/etc/resolv.conf")] {
        // A container that mounts its own wins.
        if !mounts.iter().any(|mount| mount.target == target) {
            mounts.push(bind(&file, target));
        }
    }
    let spec = ContainerSpec {
        name: name.clone(),
        attempt: with.attempt,
        hash: pod::hash(container),
        image: image.clone().unwrap_or_default(),
        command: expand_all(command),
        args: expand_all(args),
        env: with.environment.variables.clone(),
        working_dir: working_dir.clone().unwrap_or_default(),
        mounts,
        stdin: *stdin == Some(true),
        stdin_once: *stdin_once == Some(true),
        tty: *tty == Some(true),
        resources: resources::of(spec, container, with.node),
        security: isolation::security(
            spec.security_context.as_ref(),
            security_context.as_ref(),
            with.image,
            with.paths,
        )?,
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
        isolation::check_mount(mount)?;
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

#[cfg(test)]
mod tests;
