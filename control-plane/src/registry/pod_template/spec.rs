//! What is wrong with a pod as a whole (upstream `ValidatePodSpec`).

use std::{collections::BTreeSet, net::IpAddr};

use nodeplane_api::{names, status::FieldErrors};

use super::{affinity, containers, spread, volumes};
use crate::registry::{fields::At, metadata::check_labels};

const RESTART: [&str; 3] = ["Always", "OnFailure", "Never"];
const DNS: [&str; 4] = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];
const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
const PREEMPTION: [&str; 2] = ["PreemptLowerPriority", "Never"];

/// Adds what is wrong with a `PodSpec`.
pub(in crate::registry) fn check_spec(spec: &At<'_>, errors: &mut FieldErrors) {
    let volumes = volumes::check_volumes(&spec.field("volumes"), errors);
    containers::check_containers(spec, &volumes, errors);
    one_of(&spec.field("restartPolicy"), &RESTART, errors);
    one_of(&spec.field("dnsPolicy"), &DNS, errors);
    check_dns_config(spec, errors);
    check_times(spec, errors);
    check_labels(&spec.field("nodeSelector"), errors);
    affinity::check_affinity(&spec.field("affinity"), errors);
    check_names(spec, errors);
    spread::check_spread(&spec.field("topologySpreadConstraints"), errors);
    check_host_sharing(spec, errors);
    check_security(&spec.field("securityContext"), errors);
    check_tolerations(&spec.field("tolerations"), errors);
    for alias in spec.field("hostAliases").items() {
        let ip = alias.field("ip");
        if ip.text().parse::<IpAddr>().is_err() {
            errors.invalid(ip.path.clone(), ip.text(), "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)");
        }
        for name in alias.field("hostnames").items() {
            refuse_all(&name, names::subdomain(name.text()), errors);
        }
    }
}

/// Adds an error unless the field is one of the values.
pub(super) fn one_of(field: &At<'_>, supported: &[&str], errors: &mut FieldErrors) {
    match field.text() {
        "" => errors.required(field.path.clone(), ""),
        text if supported.contains(&text) => {}
        text => errors.not_supported(field.path.clone(), text, supported),
    }
}

/// Adds one error per sentence.
pub(in crate::registry) fn refuse_all(field: &At<'_>, wrong: Vec<String>, errors: &mut FieldErrors) {
    for words in wrong {
        errors.invalid(field.path.clone(), field.value.clone(), words);
    }
}

/// Adds an error when a number is below zero.
pub(in crate::registry) fn not_negative(field: &At<'_>, errors: &mut FieldErrors) {
    if field.integer().is_some_and(|value| value < 0) {
        errors.invalid(field.path.clone(), field.value.clone(), "must be greater than or equal to 0");
    }
}

fn check_times(spec: &At<'_>, errors: &mut FieldErrors) {
    let deadline = spec.field("activeDeadlineSeconds");
    if deadline.integer().is_some_and(|seconds| !(1..=i64::from(i32::MAX)).contains(&seconds)) {
        let words = format!("must be between 1 and {}, inclusive", i32::MAX);
        errors.invalid(deadline.path, deadline.value.clone(), words);
    }
}

fn check_names(spec: &At<'_>, errors: &mut FieldErrors) {
    let subdomains = ["nodeName", "serviceAccountName", "priorityClassName", "runtimeClassName"];
    for (fields, rule) in [
        (&subdomains[..], names::subdomain as fn(&str) -> Vec<String>),
        (&["hostname", "subdomain"][..], names::label_1123),
    ] {
        for name in fields {
            let field = spec.field(name);
            if !field.text().is_empty() {
                refuse_all(&field, rule(field.text()), errors);
            }
        }
    }
    for gate in spec.field("readinessGates").items() {
        let condition = gate.field("conditionType");
        refuse_all(&condition, names::qualified(condition.text()), errors);
    }
    let mut seen = Seen::new();
    for gate in spec.field("schedulingGates").items() {
        let name = gate.field("name").text();
        for words in names::qualified(name) {
            errors.invalid(gate.path.clone(), name, words);
        }
        if !seen.insert(name) {
            errors.duplicate(gate.path.clone(), name);
        }
    }
    let preemption = spec.field("preemptionPolicy");
    if preemption.is_set() {
        one_of(&preemption, &PREEMPTION, errors);
    }
}

fn check_dns_config(spec: &At<'_>, errors: &mut FieldErrors) {
    let config = spec.field("dnsConfig");
    let servers = config.field("nameservers");
    if spec.field("dnsPolicy").text() == "None" {
        if !config.is_set() {
            errors.required(config.path, "must provide `dnsConfig` when `dnsPolicy` is None");
            return;
        }
        if servers.len() == 0 {
            errors.required(servers.path, "must provide at least one DNS nameserver when `dnsPolicy` is None");
            return;
        }
    }
    if servers.len() > 3 {
        errors.invalid(servers.path.clone(), servers.value.clone(), "must not have more than 3 nameservers");
    }
    for server in servers.items().filter(|server| server.text().parse::<IpAddr>().is_err()) {
        let words = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
        errors.invalid(server.path.clone(), server.text(), words);
    }
    let searches = config.field("searches");
    if searches.len() > 32 {
        errors.invalid(searches.path.clone(), searches.value.clone(), "must not have more than 32 search paths");
    }
    for search in searches.items() {
        // It may end in a dot.
        let name = search.text().strip_suffix('.').unwrap_or(search.text());
        for words in names::subdomain(name) {
            errors.invalid(search.path.clone(), name, words);
        }
    }
    for option in config.field("options").items().filter(|option| option.field("name").text().is_empty()) {
        errors.required(option.path, "must not be empty");
    }
}

fn check_host_sharing(spec: &At<'_>, errors: &mut FieldErrors) {
    let share = spec.field("shareProcessNamespace");
    if share.is_true() && spec.field("hostPID").is_true() {
        let words = "ShareProcessNamespace and HostPID cannot both be enabled";
        errors.invalid(format!("{}.securityContext.shareProcessNamespace", spec.path), true, words);
    }
    if !spec.field("hostNetwork").is_true() {
        return;
    }
    for container in spec.field("containers").items() {
        for port in container.field("ports").items() {
            // A template may leave it out; pods get it by default.
            let (own, host) = (port.field("containerPort"), port.field("hostPort"));
            if host.integer().unwrap_or(0) != 0 && own.integer() != host.integer() {
                let words = "must match `containerPort` when `hostNetwork` is true";
                errors.invalid(host.path, host.value.clone(), words);
            }
        }
    }
}

/// Adds what is wrong with user and group ids.
pub(super) fn check_security(context: &At<'_>, errors: &mut FieldErrors) {
    for name in ["runAsUser", "runAsGroup", "fsGroup"] {
        let field = context.field(name);
        if field.integer().is_some_and(|id| !(0..=i64::from(i32::MAX)).contains(&id)) {
            let words = format!("must be between 0 and {}, inclusive", i32::MAX);
            errors.invalid(field.path, field.value.clone(), words);
        }
    }
}

/// Adds what is wrong with a list of tolerations.
pub(in crate::registry) fn check_tolerations(tolerations: &At<'_>, errors: &mut FieldErrors) {
    for toleration in tolerations.items() {
        let (key, operator) = (toleration.field("key"), toleration.field("operator"));
        let (value, effect) = (toleration.field("value"), toleration.field("effect"));
        if !key.text().is_empty() {
            refuse_all(&key, names::qualified(key.text()), errors);
        } else if operator.text() != "Exists" {
            let words = "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
            errors.invalid(operator.path.clone(), operator.text(), words);
        }
        if toleration.field("tolerationSeconds").is_set() && effect.text() != "NoExecute" {
            let words = "effect must be 'NoExecute' when `tolerationSeconds` is set";
            errors.invalid(effect.path.clone(), effect.text(), words);
        }
        match operator.text() {
            "" | "Equal" => {
                let wrong = names::label_value(value.text());
                if !wrong.is_empty() {
                    errors.invalid(operator.path.clone(), value.text(), wrong.join(";"));
                }
            }
            "Exists" if !value.text().is_empty() => {
                let words = "value must be empty when `operator` is 'Exists'";
                errors.invalid(operator.path.clone(), value.text(), words);
            }
            "Exists" => {}
            other => errors.not_supported(operator.path.clone(), other, &["Equal", "Exists"]),
        }
        if !effect.text().is_empty() && !EFFECTS.contains(&effect.text()) {
            errors.not_supported(effect.path.clone(), effect.text(), &EFFECTS);
        }
    }
}

/// Names met so far, to find the second of a kind.
pub(super) type Seen<'a> = BTreeSet<&'a str>;
