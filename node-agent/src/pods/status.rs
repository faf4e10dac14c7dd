//! What a pod's status says (kubelet `status/generate.go`, `kubelet_pods.go`). Pure.

mod conditions;
mod containers;
mod phase;
mod qos;
mod wire;

use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{HostIP, Pod, PodIP, PodStatus},
    apimachinery::pkg::apis::meta::v1::Time,
};

pub use self::{
    qos::{Qos, class},
    wire::{owned, patch},
};
use super::{machine::Machine, pod::PodExt};

/// `name_namespace(uid)`, as messages name a pod.
pub fn pod_words(pod: &Pod) -> String {
    let id = pod.id();
    format!("{}_{}({})", id.name, id.namespace, id.uid)
}

/// The status that follows from everything the machine knows.
pub(super) fn compute(machine: &Machine, pod: &Pod, now: Timestamp) -> PodStatus {
    let before = &machine.status;
    let mut status = before.clone();
    status.start_time.get_or_insert(Time(now));
    status.qos_class = Some(class(PodExt::spec(pod)).to_string());
    let host = machine.node.address.to_string();
    status.host_ip = Some(host.clone());
    status.host_ips = Some(vec![HostIP { ip: host.clone() }]);
    let address = match (&machine.network, pod.host_namespaces().network) {
        (Some(_), true) => Some(host),
        (Some(network), false) => network.address.map(|address| address.to_string()),
        // An ended pod keeps showing the address that it had.
        (None, _) => before.pod_ip.clone(),
    };
    status.pod_ips = address.as_ref().map(|ip| vec![PodIP { ip: ip.clone() }]);
    status.pod_ip = address;
    status.init_container_statuses = containers::inits(machine, pod, now);
    status.container_statuses = Some(containers::apps(machine, pod, now));
    finish(&mut status, machine, pod);
    status.conditions = Some(conditions::of(machine, pod, &status, before, now));
    status
}

/// The phase, and why.
fn finish(status: &mut PodStatus, machine: &Machine, pod: &Pod) {
    let phase = match (&machine.verdict, &pod.status) {
        // Nobody comes back from there, whoever sent it.
        (_, Some(recorded)) if pod.is_over() => {
            status.reason.clone_from(&recorded.reason);
            status.message.clone_from(&recorded.message);
            pod.recorded_phase()
        }
        // What still runs has not failed yet: who waits for the phase counts on an end.
        (Some(verdict), _) if !machine.may_run() => {
            status.reason = Some(verdict.reason.to_owned());
            status.message = Some(verdict.message.clone());
            "Failed"
        }
        _ => phase::of(pod, status),
    };
    status.phase = Some(phase.to_owned());
}

/// Whether no container of the pod will start again, whatever its policy says.
fn is_ending(machine: &Machine, pod: &Pod) -> bool {
    pod.deletion().is_some() || machine.verdict.is_some() || pod.is_over()
}

#[cfg(test)]
mod tests;
