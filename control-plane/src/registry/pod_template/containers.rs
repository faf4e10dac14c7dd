//! What is wrong with containers (upstream `validateContainers`, `validateInitContainers`).

use std::collections::BTreeSet;

use nodeplane_api::{names, status::FieldErrors};

use super::{
    environment::check_environment,
    probes::{check_lifecycle, check_probes},
    resources::check_resources,
    spec::{Seen, check_security, one_of, refuse_all},
    volumes::{Volumes, check_mounts},
};
use crate::registry::{core::check_protocol, fields::At};

const PULL_POLICIES: [&str; 3] = ["Always", "IfNotPresent", "Never"];
const MESSAGE_POLICIES: [&str; 2] = ["File", "FallbackToLogsOnError"];

/// What a container that looks into a pod cannot have.
const NOT_EPHEMERAL: [&str; 8] = [
    "ports",
    "resources",
    "resizePolicy",
    "restartPolicy",
    "livenessProbe",
    "readinessProbe",
    "startupProbe",
    "lifecycle",
];

/// Whether a container runs before the others, or besides them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Init,
    Main,
}

/// What a container depends on.
struct Around<'a> {
    volumes: &'a Volumes<'a>,
    /// Seconds that the pod has to end.
    grace: i64,
}

/// Adds what is wrong with all containers of a pod.
pub(super) fn check_containers(spec: &At<'_>, volumes: &Volumes<'_>, errors: &mut FieldErrors) {
    let grace = spec.field("terminationGracePeriodSeconds").integer().unwrap_or(0);
    let around = Around { volumes, grace };
    let containers = spec.field("containers");
    if containers.len() == 0 {
        errors.required(containers.path.clone(), "");
    }
    let mut seen = Seen::new();
    let mut host_ports = BTreeSet::new();
    for container in containers.items() {
        check_container(&container, Role::Main, &around, &mut seen, errors);
        check_host_ports(&container, &mut host_ports, errors);
    }
    for container in spec.field("initContainers").items() {
        check_container(&container, Role::Init, &around, &mut seen, errors);
        let resize = container.field("resizePolicy");
        if resize.len() > 0 {
            errors.invalid(resize.path, resize.value.clone(), "must not be set for init containers");
        }
    }
    let targets = seen.clone();
    for container in spec.field("ephemeralContainers").items() {
        check_ephemeral(&container, &targets, &around, &mut seen, errors);
    }
}

/// Containers that look into a pod give nothing that others could rely on.
fn check_ephemeral<'a>(
    container: &At<'a>,
    targets: &Seen<'_>,
    around: &Around<'_>,
    seen: &mut Seen<'a>,
    errors: &mut FieldErrors,
) {
    check_basics(container, around, seen, errors);
    let target = container.field("targetContainerName");
    if !target.text().is_empty() && !targets.contains(target.text()) {
        errors.not_found(target.path.clone(), target.text());
    }
    for field in NOT_EPHEMERAL.map(|field| container.field(field)) {
        if field.len() > 0 || !field.text().is_empty() {
            errors.forbidden(field.path, "cannot be set for an Ephemeral Container");
        }
    }
    for mount in container.field("volumeMounts").items() {
        for field in ["subPath", "subPathExpr"].map(|field| mount.field(field)) {
            if !field.text().is_empty() {
                errors.forbidden(field.path, "cannot be set for an Ephemeral Container");
            }
        }
    }
}

fn check_container<'a>(
    container: &At<'a>,
    role: Role,
    around: &Around<'_>,
    seen: &mut Seen<'a>,
    errors: &mut FieldErrors,
) {
    check_basics(container, around, seen, errors);
    check_ports(&container.field("ports"), errors);
    check_resources(&container.field("resources"), errors);
    check_restart(container, role, errors);
    let runs_on = role == Role::Main || container.field("restartPolicy").text() == "Always";
    if runs_on {
        check_lifecycle(&container.field("lifecycle"), around.grace, errors);
        check_probes(container, errors);
        return;
    }
    for name in ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"] {
        let field = container.field(name);
        if field.is_set() {
            errors.forbidden(field.path, "may not be set for init containers without restartPolicy=Always");
        }
    }
}

/// What is wrong with what containers of every role have.
fn check_basics<'a>(container: &At<'a>, around: &Around<'_>, seen: &mut Seen<'a>, errors: &mut FieldErrors) {
    check_name(&container.field("name"), seen, errors);
    let image = container.field("image");
    if image.text().is_empty() {
        errors.required(image.path, "");
    }
    one_of(&container.field("terminationMessagePolicy"), &MESSAGE_POLICIES, errors);
    one_of(&container.field("imagePullPolicy"), &PULL_POLICIES, errors);
    check_environment(container, errors);
    check_mounts(container, around.volumes, errors);
    check_security(&container.field("securityContext"), errors);
}

fn check_name<'a>(name: &At<'a>, seen: &mut Seen<'a>, errors: &mut FieldErrors) {
    if name.text().is_empty() {
        errors.required(name.path.clone(), "");
        return;
    }
    refuse_all(name, names::label_1123(name.text()), errors);
    if !seen.insert(name.text()) {
        errors.duplicate(name.path.clone(), name.text());
    }
}

/// Adds what is wrong with the images of a pod, which a template may still have.
pub(in crate::registry) fn check_images(spec: &At<'_>, errors: &mut FieldErrors) {
    for list in ["containers", "initContainers", "ephemeralContainers"] {
        for image in spec.field(list).items().map(|container| container.field("image")) {
            if image.text().trim() != image.text() {
                errors.invalid(image.path.clone(), image.text(), "must not have leading or trailing whitespace");
            }
        }
    }
}

fn check_restart(container: &At<'_>, role: Role, errors: &mut FieldErrors) {
    let policy = container.field("restartPolicy");
    match role {
        _ if !policy.is_set() => {}
        Role::Main => errors.forbidden(policy.path, "may not be set for non-init containers"),
        Role::Init => one_of(&policy, &["Always"], errors),
    }
}

fn check_ports(ports: &At<'_>, errors: &mut FieldErrors) {
    let mut seen = Seen::new();
    for port in ports.items() {
        let name = port.field("name");
        if !name.text().is_empty() {
            let wrong = names::port_name(name.text());
            let is_fine = wrong.is_empty();
            refuse_all(&name, wrong, errors);
            if is_fine && !seen.insert(name.text()) {
                errors.duplicate(name.path.clone(), name.text());
            }
        }
        let number = port.field("containerPort");
        match number.integer() {
            None | Some(0) => errors.required(number.path.clone(), ""),
            Some(value) => refuse_all(&number, names::port_number(value), errors),
        }
        let host = port.field("hostPort");
        if let Some(value) = host.integer().filter(|value| *value != 0) {
            refuse_all(&host, names::port_number(value), errors);
        }
        check_protocol(&port.field("protocol"), errors);
    }
}

/// Two containers of a pod cannot have the same port of the node.
fn check_host_ports(container: &At<'_>, seen: &mut BTreeSet<String>, errors: &mut FieldErrors) {
    for port in container.field("ports").items() {
        let number = port.field("hostPort").integer().unwrap_or(0);
        if number == 0 {
            continue;
        }
        let key = format!("{}/{}/{number}", port.field("protocol").text(), port.field("hostIP").text());
        if !seen.insert(key.clone()) {
            errors.duplicate(port.field("hostPort").path, key);
        }
    }
}
