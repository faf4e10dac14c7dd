//! Which pods go, and how. Pure.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{Node, Pod, PodCondition},
    apimachinery::pkg::apis::meta::v1::Time,
};
use kube::ResourceExt;
use nodeplane_api::{kinds::Subresource, meta::Key};
use nodeplane_client::write::{Propagation, Write};

use crate::controllers::{caches::row, pod_facts};

/// An administrator's word that a node is down and its pods do not run.
const OUT_OF_SERVICE: &str = "node.kubernetes.io/out-of-service";

/// Why a pod goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// It has ended, and so have too many others since.
    TooManyEnded,
    /// It is on its way out, and its node is out of service.
    OutOfService,
    /// Its node does not exist.
    Orphaned,
    /// It is on its way out, and no node has it.
    NeverScheduled,
}

/// A pod that goes.
#[derive(Debug)]
pub(super) struct Removal {
    pub(super) pod: Arc<Pod>,
    pub(super) why: Why,
}

/// The pods that go, each once, when the nodes `gone` do not exist.
pub(super) fn plan(pods: &[Arc<Pod>], nodes: &[Arc<Node>], gone: &BTreeSet<String>, threshold: usize) -> Vec<Removal> {
    let down: HashSet<String> =
        nodes.iter().filter(|node| is_out_of_service(node)).map(|node| node.name_any()).collect();
    let stuck = |pod: &Pod| {
        let (node, is_leaving) = (pod_facts::node(pod), pod_facts::is_terminating(pod));
        match () {
            () if is_leaving && down.contains(node) => Some(Why::OutOfService),
            () if gone.contains(node) => Some(Why::Orphaned),
            () if is_leaving && node.is_empty() => Some(Why::NeverScheduled),
            () => None,
        }
    };
    let mut removals: HashMap<Key, Removal> = HashMap::new();
    let surplus = surplus(pods, threshold).into_iter().map(|pod| (pod, Why::TooManyEnded));
    let stuck = pods.iter().filter_map(|pod| Some((pod, stuck(pod)?)));
    for (pod, why) in surplus.chain(stuck) {
        removals.entry(Key::of(&**pod)).or_insert_with(|| Removal { pod: pod.clone(), why });
    }
    removals.into_values().collect()
}

/// The nodes that pods are bound to and that are not there.
pub(super) fn missing(pods: &[Arc<Pod>], nodes: &[Arc<Node>]) -> BTreeSet<String> {
    let here: HashSet<String> = nodes.iter().map(|node| node.name_any()).collect();
    let bound = pods.iter().map(|pod| pod_facts::node(pod)).filter(|node| !node.is_empty());
    bound.filter(|node| !here.contains(*node)).map(str::to_owned).collect()
}

/// Those that have ended beyond the threshold: evicted ones first, as nobody misses them, then the
/// oldest.
fn surplus(pods: &[Arc<Pod>], threshold: usize) -> Vec<&Arc<Pod>> {
    let mut ended: Vec<_> = pods.iter().filter(|pod| pod_facts::is_finished(pod)).collect();
    let count = ended.len().saturating_sub(threshold);
    if count > 0 {
        let created = |pod: &Pod| pod.metadata.creation_timestamp.as_ref().map(|time| time.0);
        ended.sort_by_cached_key(|pod| (!is_evicted(pod), created(pod), pod.name_any()));
    }
    ended.truncate(count);
    ended
}

fn is_evicted(pod: &Pod) -> bool {
    let reason = pod.status.as_ref().and_then(|status| status.reason.as_deref());
    pod_facts::phase(pod) == "Failed" && reason == Some("Evicted")
}

fn is_out_of_service(node: &Node) -> bool {
    let conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let is_ready = conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True");
    let mut taints = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
    !is_ready && taints.any(|taint| taint.key == OUT_OF_SERVICE)
}

impl Removal {
    /// Nobody will ever tell how the pod ended, so that is told first; then it goes, without
    /// asking its node.
    pub(super) fn writes(&self, now: Timestamp) -> Vec<Write> {
        let failed = (!pod_facts::is_finished(&self.pod)).then(|| self.failed(now));
        let delete = Write::Delete {
            kind: row::<Pod>(),
            key: Key::of(&*self.pod),
            uid: self.pod.uid().unwrap_or_default(),
            revision: None,
            propagation: Propagation::Background,
            grace: Some(0),
        };
        failed.into_iter().chain([delete]).collect()
    }

    fn failed(&self, now: Timestamp) -> Write {
        let mut pod = (*self.pod).clone();
        let status = pod.status.get_or_insert_default();
        status.phase = Some("Failed".to_owned());
        if self.why == Why::Orphaned {
            let conditions = status.conditions.get_or_insert_default();
            conditions.retain(|condition| condition.type_ != "DisruptionTarget");
            conditions.push(PodCondition {
                type_: "DisruptionTarget".to_owned(),
                status: "True".to_owned(),
                reason: Some("DeletionByPodGC".to_owned()),
                message: Some("PodGC: node no longer exists".to_owned()),
                last_transition_time: Some(Time(now)),
                ..PodCondition::default()
            });
        }
        Write::replace(row::<Pod>(), Some(Subresource::Status), &pod)
    }
}
