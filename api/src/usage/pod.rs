//! What pods use: their number, and what their containers ask for and are limited to.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{Amounts, add, read};
use crate::{meta, quantity::Quantity};

const REQUESTS: &str = "requests.";
/// What containers use, and quotas name with and without a prefix.
const COMPUTE: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];
/// What every container must state once a quota limits it.
const MUST_BE_STATED: [&str; 6] = ["cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"];

pub(super) fn tracks(name: &str) -> bool {
    let bare = name.strip_prefix(REQUESTS).or_else(|| name.strip_prefix("limits.")).unwrap_or(name);
    let is_page = name.strip_prefix(REQUESTS).unwrap_or(name).starts_with("hugepages-");
    let is_device = name.strip_prefix(REQUESTS).is_some_and(is_extended);
    name == "pods" || COMPUTE.contains(&bare) || is_page || is_device
}

/// Whether others than Kubernetes named it.
fn is_extended(name: &str) -> bool {
    name.contains('/') && !name.contains("kubernetes.io/") && !name.starts_with(REQUESTS)
}

pub(super) fn usage(pod: &Value, now: Timestamp) -> Amounts {
    if has_ended(pod, now) {
        return Amounts::new();
    }
    let spec = &pod["spec"];
    let overhead = read(&spec["overhead"]);
    let (mut requests, mut limits) = (total(spec, "requests"), total(spec, "limits"));
    add(&mut requests, &overhead);
    // What is not limited is not limited with an overhead either.
    let is_limited = |name: &str| limits.get(name).is_some_and(|limit| !limit.is_zero());
    let of_limited: Amounts = overhead.into_iter().filter(|(name, _)| is_limited(name)).collect();
    add(&mut limits, &of_limited);
    let mut usage = named(&requests, &limits);
    usage.insert("pods".to_owned(), Quantity::from_units(1));
    usage
}

/// Requests and limits under the names that quotas have for them.
fn named(requests: &Amounts, limits: &Amounts) -> Amounts {
    let mut usage = Amounts::new();
    for (name, amount) in requests {
        let is_compute = COMPUTE.contains(&name.as_str()) || name.starts_with("hugepages-");
        if is_compute {
            usage.insert(name.clone(), *amount);
        }
        if is_compute || is_extended(name) {
            usage.insert(format!("{REQUESTS}{name}"), *amount);
        }
    }
    for (name, amount) in limits.iter().filter(|(name, _)| COMPUTE.contains(&name.as_str())) {
        usage.insert(format!("limits.{name}"), *amount);
    }
    usage
}

/// Pods that ran use nothing, nor do those that should have ended by now.
fn has_ended(pod: &Value, now: Timestamp) -> bool {
    if matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed")) {
        return true;
    }
    let grace = pod["metadata"]["deletionGracePeriodSeconds"].as_i64();
    let (Some(grace), Ok(since)) = (grace, meta::text(pod, "deletionTimestamp").parse::<Timestamp>()) else {
        return false;
    };
    now.duration_since(since) > SignedDuration::from_secs(grace)
}

/// What a pod's `requests` or `limits` add up to: its containers and sidecars together, or what
/// its greediest init container has beside the sidecars before it, whichever is more.
pub fn total(spec: &Value, list: &str) -> Amounts {
    let containers = |field: &str| spec[field].as_array().into_iter().flatten();
    let amounts = |container: &Value| read(&container["resources"][list]);
    let mut together = Amounts::new();
    containers("containers").for_each(|container| add(&mut together, &amounts(container)));
    let (mut sidecars, mut greediest) = (Amounts::new(), Amounts::new());
    for container in containers("initContainers") {
        let own = amounts(container);
        let beside = if container["restartPolicy"] == "Always" {
            add(&mut together, &own);
            add(&mut sidecars, &own);
            sidecars.clone()
        } else {
            let mut beside = sidecars.clone();
            add(&mut beside, &own);
            beside
        };
        raise(&mut greediest, &beside);
    }
    raise(&mut together, &greediest);
    together
}

fn raise(most: &mut Amounts, amounts: &Amounts) {
    for (name, amount) in amounts {
        let most = most.entry(name.clone()).or_insert(*amount);
        *most = (*most).max(*amount);
    }
}

/// Which containers do not state something that a quota of these names limits, by name; `None`
/// when all state everything. In upstream's words.
pub fn missing<'a>(spec: &Value, names: impl Iterator<Item = &'a str>) -> Option<String> {
    let needed: BTreeSet<&str> = names.filter(|name| MUST_BE_STATED.contains(name)).collect();
    let mut missing: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let containers = ["containers", "initContainers"].map(|list| spec[list].as_array().into_iter().flatten());
    for container in containers.into_iter().flatten() {
        let resources = &container["resources"];
        let stated = named(&read(&resources["requests"]), &read(&resources["limits"]));
        for name in needed.iter().filter(|name| !stated.contains_key(**name)) {
            missing.entry(name).or_default().insert(container["name"].as_str().unwrap_or_default());
        }
    }
    let told = missing
        .into_iter()
        .map(|(name, containers)| format!("{name} for: {}", containers.into_iter().collect::<Vec<_>>().join(",")));
    let told: Vec<String> = told.collect();
    (!told.is_empty()).then(|| format!("must specify {}", told.join("; ")))
}
