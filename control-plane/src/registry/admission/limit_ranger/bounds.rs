//! What is beyond the limits of a namespace, in upstream's words. Pure.

use nodeplane_api::{
    quantity::Quantity,
    usage::{self, Amounts},
};
use serde_json::Value;

/// What a limit is about: its type, what is asked for, and what that is limited to.
struct Measured<'a> {
    kind: &'a str,
    requests: Amounts,
    limits: Amounts,
}

/// What of a pod is beyond these limits.
pub(super) fn of_pod(pod: &Value, limits: &[Value]) -> Vec<String> {
    let spec = &pod["spec"];
    let mut beyond = Vec::new();
    for limit in limits {
        let kind = limit["type"].as_str().unwrap_or_default();
        let measured = match kind {
            "Container" => containers(spec),
            "Pod" => {
                vec![Measured { kind, requests: usage::total(spec, "requests"), limits: usage::total(spec, "limits") }]
            }
            _ => continue,
        };
        for measured in measured {
            check(&measured, limit, &mut beyond);
        }
    }
    beyond
}

/// What of a claim is beyond these limits.
pub(super) fn of_claim(claim: &Value, limits: &[Value]) -> Vec<String> {
    let kind = "PersistentVolumeClaim";
    let requests = usage::read(&claim["spec"]["resources"]["requests"]);
    let measured = Measured { kind, requests, limits: Amounts::new() };
    let mut beyond = Vec::new();
    for limit in limits.iter().filter(|limit| limit["type"] == kind) {
        for (name, least) in usage::read(&limit["min"]) {
            beyond.extend(below(&measured, &name, least));
        }
        for (name, most) in usage::read(&limit["max"]) {
            let request = measured.requests.get(&name);
            beyond.extend(match request {
                None => Some(format!("maximum {name} usage per {kind} is {most}.  No request is specified")),
                Some(request) if *request > most => {
                    Some(format!("maximum {name} usage per {kind} is {most}, but request is {request}"))
                }
                Some(_) => None,
            });
        }
    }
    beyond
}

fn containers(spec: &Value) -> Vec<Measured<'static>> {
    let lists = ["containers", "initContainers"].map(|list| spec[list].as_array().into_iter().flatten());
    let measured = lists.into_iter().flatten().map(|container| Measured {
        kind: "Container",
        requests: usage::read(&container["resources"]["requests"]),
        limits: usage::read(&container["resources"]["limits"]),
    });
    measured.collect()
}

fn check(measured: &Measured<'_>, limit: &Value, beyond: &mut Vec<String>) {
    for (name, least) in usage::read(&limit["min"]) {
        beyond.extend(below(measured, &name, least));
    }
    for (name, most) in usage::read(&limit["max"]) {
        beyond.extend(above(measured, &name, most));
    }
    for (name, most) in usage::read(&limit["maxLimitRequestRatio"]) {
        beyond.extend(apart(measured, &name, most));
    }
}

fn below(measured: &Measured<'_>, name: &str, least: Quantity) -> Option<String> {
    let words = format!("minimum {name} usage per {} is {least}", measured.kind);
    match (measured.requests.get(name), measured.limits.get(name)) {
        (None, _) => Some(format!("{words}.  No request is specified")),
        (Some(request), _) if *request < least => Some(format!("{words}, but request is {request}")),
        (_, Some(limit)) if *limit < least => Some(format!("{words}, but limit is {limit}")),
        _ => None,
    }
}

fn above(measured: &Measured<'_>, name: &str, most: Quantity) -> Option<String> {
    let words = format!("maximum {name} usage per {} is {most}", measured.kind);
    match (measured.limits.get(name), measured.requests.get(name)) {
        (None, _) => Some(format!("{words}.  No limit is specified")),
        (Some(limit), _) if *limit > most => Some(format!("{words}, but limit is {limit}")),
        (_, Some(request)) if *request > most => Some(format!("{words}, but request is {request}")),
        _ => None,
    }
}

/// A limit that is too many times a request.
#[expect(clippy::cast_precision_loss, reason = "a ratio is only compared and shown")]
fn apart(measured: &Measured<'_>, name: &str, most: Quantity) -> Option<String> {
    let words = format!("{name} max limit to request ratio per {} is {most}", measured.kind);
    let positive = |amounts: &Amounts| amounts.get(name).copied().filter(|amount| !amount.is_zero());
    let Some(request) = positive(&measured.requests) else {
        return Some(format!("{words}, but no request is specified or request is 0"));
    };
    let Some(limit) = positive(&measured.limits) else {
        return Some(format!("{words}, but no limit is specified or limit is 0"));
    };
    let ratio = limit.nanos() as f64 / request.nanos() as f64;
    let allowed = most.nanos() as f64 / 1e9;
    (ratio > allowed).then(|| format!("{words}, but provided ratio is {ratio:.6}"))
}
