//! A node's agent writes about its own node and its own pods only.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use nodeplane_api::{
    kinds::Subresource,
    meta::{self, Key},
    status::Status,
};
use serde_json::Value;

use super::{Lookup, Operation, Plugin, Review, core, pod_references, service_account::MIRROR};
use crate::access::node::dns_slice;

const SERVICE_NAME: &str = "kubernetes.io/service-name";
const DNS_SERVICE: &str = "kube-dns";

/// Labels of nodes in Kubernetes' own domains that agents may set.
const OWN_LABELS: [&str; 11] = [
    "beta.kubernetes.io/arch",
    "beta.kubernetes.io/instance-type",
    "beta.kubernetes.io/os",
    "failure-domain.beta.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "kubernetes.io/arch",
    "kubernetes.io/hostname",
    "kubernetes.io/os",
    "node.kubernetes.io/instance-type",
    "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone",
];

/// Upstream's `NodeRestriction`, for what agents may write at all.
pub(super) struct NodeRestriction<L> {
    lookup: Arc<L>,
}

impl<L: Lookup> NodeRestriction<L> {
    pub(super) fn new(lookup: Arc<L>) -> Self {
        Self { lookup }
    }

    /// A mirror pod belongs to its node, and names no other object: the agent may read what its
    /// pods name.
    async fn mirror(&self, node: &str, pod: &Value) -> Result<Option<String>, Status> {
        let owner = match owners(pod) {
            [owner] => owner,
            [] => &Value::Null,
            _ => {
                let why = format!("node {node:?} can only create pods with a single owner reference set to itself");
                return Ok(Some(why));
            }
        };
        if let Some(why) = not_owner(node, owner) {
            return Ok(Some(why));
        }
        let (nodes, key) = (core("nodes")?, Key::new("", node));
        let known = self.lookup.known(nodes, &key).await;
        let known = match known {
            Some(known) => known,
            None => self.lookup.newest(nodes, &key).await?.ok_or_else(|| Status::not_found(nodes, node))?,
        };
        let (known, said) = (known.tree(), owner["uid"].as_str().unwrap_or_default());
        let uid = meta::uid(&known);
        if uid != said {
            return Ok(Some(format!("node {node} UID mismatch: expected {uid} got {said}")));
        }
        let named = pod_references::any(pod);
        Ok(named.map(|kind| format!("node {node:?} can not create pods that reference {kind}")))
    }

    /// A token is for a pod that runs here, and for whom the pod asks for it.
    async fn token(&self, node: &str, review: &Review<'_>, request: &Value) -> Result<Option<String>, Status> {
        let bound = &request["spec"]["boundObjectRef"];
        let text = |field: &str| bound[field].as_str().unwrap_or_default();
        if text("apiVersion") != "v1" || text("kind") != "Pod" || text("name").is_empty() {
            return Ok(Some("node requested token not bound to a pod".to_owned()));
        }
        let uid = text("uid");
        if uid.is_empty() {
            return Ok(Some("node requested token with a pod binding without a uid".to_owned()));
        }
        let (pods, key) = (core("pods")?, Key::new(review.namespace(), text("name")));
        let known = self.lookup.known(pods, &key).await.filter(|pod| meta::uid(&pod.tree()) == uid);
        let pod = match known {
            Some(pod) => pod,
            None => self.lookup.newest(pods, &key).await?.ok_or_else(|| Status::not_found(pods, &key.name))?,
        };
        let pod = pod.tree();
        Ok(if meta::uid(&pod) != uid {
            Some(format!(
                "the UID in the bound object reference ({uid}) does not match the UID in record. The object might have \
                 been deleted and then recreated"
            ))
        } else if pod["spec"]["nodeName"] != node {
            Some("node requested token bound to a pod scheduled on a different node".to_owned())
        } else {
            audience(&pod, request)
        })
    }
}

/// What is wrong with the audience of a token: only those are given out that a volume asks for.
fn audience(pod: &Value, request: &Value) -> Option<String> {
    let audiences = request["spec"]["audiences"].as_array().map(Vec::as_slice).unwrap_or_default();
    let audience = match audiences {
        [] => "",
        [one] => one.as_str().unwrap_or_default(),
        _ => return Some("node may only request 0 or 1 audiences".to_owned()),
    };
    let volumes = pod["spec"]["volumes"].as_array().into_iter().flatten();
    let sources = volumes.flat_map(|volume| volume["projected"]["sources"].as_array().into_iter().flatten());
    let mut tokens = sources.map(|source| &source["serviceAccountToken"]).filter(|token| !token.is_null());
    let is_asked_for = tokens.any(|token| token["audience"].as_str().unwrap_or_default() == audience);
    (!is_asked_for).then(|| format!("audience {audience:?} not found in pod spec volume"))
}

#[async_trait]
impl<L: Lookup> Plugin for NodeRestriction<L> {
    async fn validate(&self, review: &Review<'_>, object: &Value) -> Result<(), Status> {
        let Some(node) = review.permit.caller().node() else { return Ok(()) };
        let refusal = match review.permit.request().resource() {
            ("", "pods") => match pod(node, review, object) {
                None if review.operation == Operation::Create && review.subresource().is_none() => {
                    self.mirror(node, object).await?
                }
                refusal => refusal,
            },
            ("", "nodes") => own_node(node, review, object),
            ("", "serviceaccounts") if review.subresource() == Some(Subresource::Token) => {
                self.token(node, review, object).await?
            }
            ("coordination.k8s.io", "leases") => lease(node, review),
            ("discovery.k8s.io", "endpointslices") => slice(node, review, object),
            _ => None,
        };
        refusal.map_or(Ok(()), |why| Err(Status::forbidden(review.kind(), review.name, why)))
    }
}

fn pod(node: &str, review: &Review<'_>, object: &Value) -> Option<String> {
    let is_own = |pod: &Value| pod["spec"]["nodeName"] == node;
    match (review.operation, review.subresource(), review.old) {
        (Operation::Create, ..) if object["metadata"]["annotations"].get(MIRROR).is_none() => {
            Some(format!("pod does not have {MIRROR:?} annotation, node {node:?} can only create mirror pods"))
        }
        (Operation::Create, ..) if !is_own(object) => {
            Some(format!("node {node:?} can only create pods with spec.nodeName set to itself"))
        }
        (Operation::Delete, _, Some(old)) if !is_own(old) => {
            Some(format!("node {node:?} can only delete pods with spec.nodeName set to itself"))
        }
        (Operation::Update, Some(Subresource::Status), Some(old)) if !is_own(old) => {
            Some(format!("node {node:?} can only update pod status for pods with spec.nodeName set to itself"))
        }
        _ => None,
    }
}

fn owners(object: &Value) -> &[Value] {
    object["metadata"]["ownerReferences"].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Why a pod's owner is not just the node.
fn not_owner(node: &str, owner: &Value) -> Option<String> {
    if owner["apiVersion"] != "v1" || owner["kind"] != "Node" || owner["name"] != node {
        Some(format!("node {node:?} can only create pods with an owner reference set to itself"))
    } else if owner["controller"] != true {
        Some(format!("node {node:?} can only create pods with a controller owner reference set to itself"))
    } else if owner["blockOwnerDeletion"] == true {
        Some(format!("node {node:?} must not set blockOwnerDeletion on an owner reference"))
    } else {
        None
    }
}

fn own_node(node: &str, review: &Review<'_>, object: &Value) -> Option<String> {
    if review.name != node {
        return Some(format!("node {node:?} is not allowed to modify node {:?}", review.name));
    }
    let nothing = Value::Null;
    let old = review.old.unwrap_or(&nothing);
    let changed = reserved_labels(object, old);
    match review.operation {
        Operation::Create if !changed.is_empty() => {
            Some(format!("node {node:?} is not allowed to set the following labels: {changed}"))
        }
        Operation::Update if object["spec"].get("taints") != old["spec"].get("taints") => {
            Some(format!("node {node:?} is not allowed to modify taints"))
        }
        Operation::Update if !changed.is_empty() => {
            Some(format!("node {node:?} is not allowed to modify labels: {changed}"))
        }
        Operation::Update if object["metadata"].get("ownerReferences") != old["metadata"].get("ownerReferences") => {
            Some(format!("node {node:?} is not allowed to modify ownerReferences"))
        }
        _ => None,
    }
}

/// The labels that differ and are not an agent's.
fn reserved_labels(now: &Value, before: &Value) -> String {
    let labels = |object: &'_ Value| object["metadata"]["labels"].as_object().cloned().unwrap_or_default();
    let (now, before) = (labels(now), labels(before));
    let keys: BTreeSet<&String> = now.keys().chain(before.keys()).collect();
    let changed = keys.into_iter().filter(|key| now.get(*key) != before.get(*key) && is_reserved(key));
    changed.map(String::as_str).collect::<Vec<_>>().join(", ")
}

fn is_reserved(label: &str) -> bool {
    let domain = label.split_once('/').map_or("", |(domain, _)| domain);
    let is_in = |parent: &str| domain == parent || domain.ends_with(&format!(".{parent}"));
    if is_in("node-restriction.kubernetes.io") {
        return true;
    }
    let is_common = is_in("kubernetes.io") || is_in("k8s.io");
    let is_agents = is_in("kubelet.kubernetes.io") || is_in("node.kubernetes.io") || OWN_LABELS.contains(&label);
    is_common && !is_agents
}

fn lease(node: &str, review: &Review<'_>) -> Option<String> {
    (review.name != node).then(|| "can only access node lease with the same name as the requesting node".to_owned())
}

/// The slice of the node's DNS, with nothing in it but the node's own.
fn slice(node: &str, review: &Review<'_>, object: &Value) -> Option<String> {
    if review.name != dns_slice(node) {
        return Some(format!("node {node:?} is not allowed to modify endpoint slice {:?}", review.name));
    }
    if review.operation == Operation::Delete {
        return None;
    }
    let service = object["metadata"]["labels"][SERVICE_NAME].as_str().unwrap_or_default();
    let is_own = |endpoint: &Value| endpoint["nodeName"] == node;
    let all_own = object["endpoints"].as_array().into_iter().flatten().all(is_own);
    let fits = service == DNS_SERVICE && all_own && meta::namespace(object) == crate::access::node::DNS;
    (!fits).then(|| format!("node {node:?} can only publish its own endpoints of the service {DNS_SERVICE:?}"))
}
