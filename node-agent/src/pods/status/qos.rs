//! Quality of service classes (`pkg/apis/core/v1/helper/qos`).

use std::fmt;

use k8s_openapi::{
    api::core::v1::{Container, PodSpec},
    apimachinery::pkg::api::resource::Quantity,
};

/// How sure a pod can be of its resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Qos {
    /// Every container's requests equal its limits, for both CPU and memory.
    Guaranteed,
    /// Something was asked for.
    Burstable,
    /// Nothing was.
    BestEffort,
}

impl fmt::Display for Qos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Guaranteed => "Guaranteed",
            Self::Burstable => "Burstable",
            Self::BestEffort => "BestEffort",
        })
    }
}

/// The class of a pod.
pub fn class(spec: &PodSpec) -> Qos {
    let all: Vec<&Container> = spec.init_containers.iter().flatten().chain(&spec.containers).collect();
    if all.iter().all(|container| is_unasked(container)) {
        Qos::BestEffort
    } else if all.iter().all(|container| is_guaranteed(container)) {
        Qos::Guaranteed
    } else {
        Qos::Burstable
    }
}

fn is_unasked(container: &Container) -> bool {
    let Some(resources) = &container.resources else { return true };
    let all = resources.requests.iter().chain(&resources.limits).flatten();
    !all.into_iter().any(|(name, amount)| counts(name, amount))
}

fn is_guaranteed(container: &Container) -> bool {
    ["cpu", "memory"].iter().all(|name| {
        let resources = container.resources.as_ref();
        let limit = resources.and_then(|resources| resources.limits.as_ref()?.get(*name)).and_then(exact);
        let request = resources.and_then(|resources| resources.requests.as_ref()?.get(*name)).and_then(exact);
        // A missing request is defaulted to the limit.
        limit.is_some_and(|limit| limit > 0 && request.is_none_or(|request| request == limit))
    })
}

fn counts(name: &str, amount: &Quantity) -> bool {
    matches!(name, "cpu" | "memory") && exact(amount).is_some_and(|amount| amount > 0)
}

fn exact(amount: &Quantity) -> Option<i128> {
    super::super::resources::nano(&amount.0)
}
