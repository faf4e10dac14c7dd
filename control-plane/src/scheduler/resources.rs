//! What pods ask for and nodes can give. Pure. Follows upstream's
//! `component-helpers/resource/helpers.go`.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{Container, Node, Pod},
    apimachinery::pkg::api::resource,
};
use nodeplane_api::quantity::Quantity;

/// Amounts by resource, in billionths of its unit.
pub(super) type Amounts = BTreeMap<String, i128>;

pub(super) const CPU: &str = "cpu";
pub(super) const MEMORY: &str = "memory";
pub(super) const PODS: &str = "pods";

/// What counts as asked for by a container that asks for nothing, so that such pods spread, too:
/// a tenth of a CPU and 200 MB.
const ASSUMED: [(&str, i128); 2] = [(CPU, 100_000_000), (MEMORY, 200 * 1024 * 1024 * 1_000_000_000)];

pub(super) fn add(sum: &mut Amounts, amounts: &Amounts) {
    for (resource, amount) in amounts {
        *sum.entry(resource.clone()).or_default() += amount;
    }
}

/// Takes away what was added before; what is down to nothing is not kept.
pub(super) fn subtract(sum: &mut Amounts, amounts: &Amounts) {
    for (resource, amount) in amounts {
        let left = sum.get(resource).copied().unwrap_or_default() - amount;
        match left {
            0 => sum.remove(resource),
            left => sum.insert(resource.clone(), left),
        };
    }
}

fn maximum(most: &mut Amounts, amounts: &Amounts) {
    for (resource, amount) in amounts {
        let most = most.entry(resource.clone()).or_default();
        *most = (*most).max(*amount);
    }
}

/// What a node can give: `.status.allocatable`, or its capacity when it does not say.
pub(super) fn allocatable(node: &Node) -> Amounts {
    let status = node.status.as_ref();
    amounts(status.and_then(|status| status.allocatable.as_ref().or(status.capacity.as_ref())))
}

/// What a pod asks for: its containers and sidecars together, or what its greediest init
/// container needs beside the sidecars before it, whichever is more; and the overhead.
pub(super) fn requests(pod: &Pod) -> Amounts {
    total(pod, |container| amounts(container.resources.as_ref().and_then(|resources| resources.requests.as_ref())))
}

/// Like [`requests`], with something for containers that ask for nothing.
pub(super) fn assumed_requests(pod: &Pod) -> Amounts {
    total(pod, |container| {
        let mut amounts = amounts(container.resources.as_ref().and_then(|resources| resources.requests.as_ref()));
        for (resource, amount) in ASSUMED {
            amounts.entry(resource.to_owned()).or_insert(amount);
        }
        amounts
    })
}

fn total(pod: &Pod, requests: impl Fn(&Container) -> Amounts) -> Amounts {
    let Some(spec) = &pod.spec else { return Amounts::new() };
    let mut sum = Amounts::new();
    for container in &spec.containers {
        add(&mut sum, &requests(container));
    }
    let (mut sidecars, mut initially) = (Amounts::new(), Amounts::new());
    for container in spec.init_containers.iter().flatten() {
        let mut needs = requests(container);
        if container.restart_policy.as_deref() == Some("Always") {
            add(&mut sum, &needs);
            add(&mut sidecars, &needs);
            needs = sidecars.clone();
        } else {
            add(&mut needs, &sidecars);
        }
        maximum(&mut initially, &needs);
    }
    maximum(&mut sum, &initially);
    add(&mut sum, &amounts(spec.overhead.as_ref()));
    sum
}

/// Amounts that cannot be read count as nothing: the API server does not let them in.
fn amounts(amounts: Option<&BTreeMap<String, resource::Quantity>>) -> Amounts {
    let read = |quantity: &resource::Quantity| quantity.0.parse::<Quantity>().map(Quantity::nanos).unwrap_or_default();
    amounts.into_iter().flatten().map(|(resource, quantity)| (resource.clone(), read(quantity))).collect()
}
