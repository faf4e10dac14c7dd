//! What keeps a container apart from the node, and what of it this node cannot give. Pure.
//!
//! A protection that is asked for and cannot be given is refused, never left out. Every field is
//! named here, so that one that Kubernetes adds must be thought about before this compiles.

use k8s_openapi::api::core::v1::{
    AppArmorProfile, Capabilities, Container, PodSecurityContext, PodSpec, SELinuxOptions, SeccompProfile,
    SecurityContext, VolumeMount,
};

use super::refuse;
use crate::pods::{
    message::Failure,
    paths::PodPaths,
    runtime::{AppArmor, Image, Seccomp, Security},
};

/// Refuses a pod whose sandbox cannot be what it asks for.
///
/// # Errors
/// What this node does not have.
pub fn check(spec: &PodSpec) -> Result<(), String> {
    let PodSpec {
        host_users,
        runtime_class_name,
        resource_claims,
        resources,
        os,
        security_context,
        containers,
        init_containers,
        host_network,
        // Given by the sandbox, the container, the files or the machine.
        active_deadline_seconds: _,
        dns_config: _,
        dns_policy: _,
        enable_service_links: _,
        ephemeral_containers: _,
        host_aliases: _,
        host_ipc: _,
        host_pid: _,
        hostname: _,
        priority_class_name: _,
        readiness_gates: _,
        restart_policy: _,
        service_account_name: _,
        share_process_namespace: _,
        subdomain: _,
        termination_grace_period_seconds: _,
        volumes: _,
        // The API server's and the scheduler's.
        affinity: _,
        automount_service_account_token: _,
        node_name: _,
        node_selector: _,
        overhead: _,
        preemption_policy: _,
        priority: _,
        scheduler_name: _,
        scheduling_gates: _,
        service_account: _,
        tolerations: _,
        topology_spread_constraints: _,
        image_pull_secrets: _,
        // A name inside: nothing that keeps apart.
        set_hostname_as_fqdn: _,
    } = spec;
    if let Some(class) = runtime_class_name.as_deref().filter(|class| !class.is_empty()) {
        return Err(format!("no runtime for \"{class}\" is configured"));
    }
    if *host_users == Some(false) {
        return Err("can't set spec.hostUsers: false, runtime does not support user namespaces".to_owned());
    }
    if resource_claims.as_ref().is_some_and(|claims| !claims.is_empty()) {
        return Err("spec.resourceClaims: dynamic resource allocation is not supported on this node".to_owned());
    }
    if resources.is_some() {
        return Err("spec.resources: pod level resources are not supported on this node".to_owned());
    }
    if os.as_ref().is_some_and(|os| os.name != "linux") {
        return Err("the OS field doesn't match node OS".to_owned());
    }
    let policy = security_context.as_ref().and_then(|context| context.supplemental_groups_policy.as_deref());
    if policy == Some("Strict") {
        return Err("SupplementalGroupsPolicy=Strict is not supported in this node".to_owned());
    }
    let all = init_containers.iter().flatten().chain(containers);
    if *host_network == Some(true) { Ok(()) } else { all.into_iter().try_for_each(check_ports) }
}

/// On the node's network a host port is the container's own.
fn check_ports(container: &Container) -> Result<(), String> {
    let mut ports = container.ports.iter().flatten().filter_map(|port| port.host_port);
    match ports.find(|port| *port > 0) {
        Some(port) => Err(format!("hostPort {port} of container \"{}\" is not supported on this node", container.name)),
        None => Ok(()),
    }
}

/// Refuses a mount that would be less closed than it asks for.
pub(super) fn check_mount(mount: &VolumeMount) -> Result<(), Failure> {
    match mount.recursive_read_only.as_deref() {
        Some("Enabled") => Err(refuse(format!(
            "failed to resolve recursive read-only mode: volume \"{}\" requested recursive read-only mode, but it is \
             not supported by the runtime",
            mount.name
        ))),
        _ => Ok(()),
    }
}

/// The rights of a container: its own word counts, then the pod's.
pub(super) fn security(
    pod: Option<&PodSecurityContext>,
    container: Option<&SecurityContext>,
    image: &Image,
    paths: &PodPaths,
) -> Result<Security, Failure> {
    let none = (PodSecurityContext::default(), SecurityContext::default());
    let PodSecurityContext {
        app_armor_profile: pod_app_armor,
        fs_group,
        run_as_group: pod_group,
        run_as_non_root: pod_non_root,
        run_as_user: pod_user,
        se_linux_options: pod_se_linux,
        seccomp_profile: pod_seccomp,
        supplemental_groups,
        // The sandbox's.
        supplemental_groups_policy: _,
        sysctls: _,
        // Our volumes are given to their group when they are made; none is labelled.
        fs_group_change_policy: _,
        se_linux_change_policy: _,
        // Of another system.
        windows_options: _,
    } = pod.unwrap_or(&none.0);
    let SecurityContext {
        allow_privilege_escalation,
        app_armor_profile,
        capabilities,
        privileged,
        proc_mount,
        read_only_root_filesystem,
        run_as_group,
        run_as_non_root,
        run_as_user,
        se_linux_options,
        seccomp_profile,
        windows_options: _,
    } = container.unwrap_or(&none.1);
    if proc_mount.as_deref().is_some_and(|kind| kind != "Default") {
        return Err(refuse("procMount types other than Default are not supported on this node".to_owned()));
    }
    let (user, group) = (run_as_user.or(*pod_user), run_as_group.or(*pod_group));
    if run_as_non_root.or(*pod_non_root) == Some(true) {
        check_non_root(user, image)?;
    }
    let groups = supplemental_groups.iter().flatten().chain(fs_group);
    let Capabilities { add, drop } = capabilities.clone().unwrap_or_default();
    Ok(Security {
        user: user_and_group(user, group, image),
        groups: groups.map(ToString::to_string).collect(),
        privileged: *privileged == Some(true),
        add: add.unwrap_or_default(),
        drop: drop.unwrap_or_default(),
        read_only_root: *read_only_root_filesystem == Some(true),
        no_new_privileges: *allow_privilege_escalation == Some(false),
        seccomp: seccomp(seccomp_profile.as_ref().or(pod_seccomp.as_ref()), paths)?,
        app_armor: app_armor(app_armor_profile.as_ref().or(pod_app_armor.as_ref()))?,
        se_linux: se_linux(se_linux_options.as_ref().or(pod_se_linux.as_ref())),
    })
}

fn user_and_group(user: Option<i64>, group: Option<i64>, image: &Image) -> String {
    match (user, group) {
        (Some(user), Some(group)) => format!("{user}:{group}"),
        (Some(user), None) => user.to_string(),
        (None, Some(group)) => {
            let own = image.user.split(':').next().filter(|user| !user.is_empty()).unwrap_or("0");
            format!("{own}:{group}")
        }
        (None, None) => String::new(),
    }
}

fn seccomp(profile: Option<&SeccompProfile>, paths: &PodPaths) -> Result<Seccomp, Failure> {
    // Kubernetes' default profile is none; Docker's is its own.
    let Some(SeccompProfile { type_, localhost_profile }) = profile else { return Ok(Seccomp::Unconfined) };
    match (type_.as_str(), localhost_profile.as_deref().unwrap_or_default()) {
        ("Unconfined", _) => Ok(Seccomp::Unconfined),
        ("RuntimeDefault", _) => Ok(Seccomp::Default),
        ("Localhost", name) if !name.is_empty() && !name.starts_with('/') && name.split('/').all(|p| p != "..") => {
            Ok(Seccomp::Localhost(paths.seccomp_profile(name)))
        }
        (kind, name) => Err(refuse(format!("invalid seccomp profile \"{name}\" of type \"{kind}\""))),
    }
}

fn app_armor(profile: Option<&AppArmorProfile>) -> Result<AppArmor, Failure> {
    let Some(AppArmorProfile { type_, localhost_profile }) = profile else { return Ok(AppArmor::Unasked) };
    match (type_.as_str(), localhost_profile.as_deref().unwrap_or_default().trim()) {
        ("Unconfined", _) => Ok(AppArmor::Unconfined),
        ("RuntimeDefault", _) => Ok(AppArmor::Default),
        ("Localhost", name) if !name.is_empty() => Ok(AppArmor::Localhost(name.to_owned())),
        (kind, name) => Err(refuse(format!("invalid AppArmor profile \"{name}\" of type \"{kind}\""))),
    }
}

/// `user:..`, `role:..`, `type:..`, `level:..`.
fn se_linux(options: Option<&SELinuxOptions>) -> Vec<String> {
    let Some(SELinuxOptions { level, role, type_, user }) = options else { return Vec::new() };
    let parts = [("user", user), ("role", role), ("type", type_), ("level", level)];
    let given = parts.into_iter().filter_map(|(part, value)| Some((part, value.as_deref().filter(|v| !v.is_empty())?)));
    given.map(|(part, value)| format!("{part}:{value}")).collect()
}

fn check_non_root(user: Option<i64>, image: &Image) -> Result<(), Failure> {
    let refuse = |message: String| Err(refuse(message));
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
