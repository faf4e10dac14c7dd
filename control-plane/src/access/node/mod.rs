//! What node agents may do (upstream's node authorizer, and the reads of its node proxy and DNS).
//!
//! In: an agent's call. Out: allow, or why not. An agent reads what its own pods need and what
//! the network of any pod needs; it writes about itself and its pods. What exactly it writes,
//! admission limits. Which pods are an agent's, the watch cache knows: that is where the agent
//! has it from.

mod references;
#[cfg(test)]
mod tests;

use async_trait::async_trait;
use nodeplane_api::kinds::{Subresource, Verb};

use super::{Asked, Authorizer, Caller, Decision, NODES, Request, Rules};
use crate::store::{
    keys::Keys,
    object::Object,
    watch_cache::{Freshness, WatchCache},
};

/// Where the leases of nodes are.
pub const LEASES: &str = "kube-node-lease";
/// Where the agents tell where their DNS answers.
pub const DNS: &str = "kube-system";

const NODE_NAME: &str = "/spec/nodeName";

/// The slice that tells where the DNS of a node answers.
pub fn dns_slice(node: &str) -> String {
    format!("kube-dns-{node}")
}

/// Knows what node agents may do.
pub struct Nodes {
    cache: WatchCache,
    keys: Keys,
}

impl Nodes {
    /// Looks for pods in a cache of the objects that have these keys.
    pub fn new(cache: WatchCache, keys: Keys) -> Self {
        Self { cache, keys }
    }

    async fn objects(&self, node: &str, request: &Request) -> Decision {
        match request.resource() {
            ("", "serviceaccounts") if request.verb == Verb::Create => self.make_token(node, request).await,
            ("", "configmaps" | "secrets" | "serviceaccounts") => self.read_referenced(node, request).await,
            ("", "pods") => self.pods(node, request).await,
            ("", "nodes") => nodes(request),
            ("", "services" | "namespaces") => allow_if(request.is_read() && request.subresource.is_none()),
            ("", "events") => allow_if(matches!(request.verb, Verb::Create | Verb::Patch | Verb::Update)),
            ("coordination.k8s.io", "leases") => lease(node, request),
            ("discovery.k8s.io", "endpointslices") => slice(node, request),
            _ => Decision::NOTHING,
        }
    }

    async fn read_referenced(&self, node: &str, request: &Request) -> Decision {
        if !request.is_read() {
            return pass("can only read resources of this type");
        }
        if request.subresource.is_some() {
            return pass("cannot read subresource");
        }
        if request.namespace().is_empty() {
            return pass("can only read namespaced object of this type");
        }
        if request.only().is_empty() {
            return pass("No Object name found");
        }
        self.related_by_name(node, request).await
    }

    /// Allows a token of an account that a pod of the node has.
    async fn make_token(&self, node: &str, request: &Request) -> Decision {
        if request.name().is_empty() {
            return pass("can only create tokens for individual service accounts");
        }
        if request.subresource != Some(Subresource::Token) {
            return pass("can only create token subresource of serviceaccount");
        }
        self.related_by_name(node, request).await
    }

    /// Allows an object that a pod of the node names.
    async fn related_by_name(&self, node: &str, request: &Request) -> Decision {
        let names = |pod: &Object| references::names(&pod.tree(), request.kind.plural, request.only());
        let scope = self.keys.collection("", "pods", request.namespace());
        self.related(node, &scope, &names).await
    }

    async fn pods(&self, node: &str, request: &Request) -> Decision {
        match (request.subresource, request.verb) {
            (None, Verb::Get) => {
                let scope = self.keys.collection("", "pods", request.namespace()) + request.name();
                self.related(node, &scope, &|_| true).await
            }
            (None, Verb::List | Verb::Watch) => match request.limits.node.as_deref() {
                Some(limit) if limit == node => Decision::Allow,
                _ => pass("can only list/watch pods with spec.nodeName field selector"),
            },
            (None, Verb::Create | Verb::Delete) => Decision::Allow,
            (Some(Subresource::Status), Verb::Patch | Verb::Update) => Decision::Allow,
            _ => Decision::NOTHING,
        }
    }

    /// Allows what some pod of the node under a scope is related to. The agent may have heard of
    /// the pod from another server.
    async fn related(&self, node: &str, scope: &str, relates: &(dyn Fn(&Object) -> bool + Sync)) -> Decision {
        for fresh in [Freshness::Any, Freshness::Newest] {
            let Ok(list) = self.cache.list(scope, fresh).await else { continue };
            if list.objects.iter().any(|pod| pod.field(NODE_NAME).as_deref() == Some(node) && relates(pod)) {
                return Decision::Allow;
            }
        }
        pass(format!("no relationship found between node '{node}' and this object"))
    }
}

#[async_trait]
impl Authorizer for Nodes {
    async fn decide(&self, caller: &Caller, asked: Asked<'_>) -> Decision {
        match (caller.node(), asked) {
            (Some(node), Asked::Objects(request)) => self.objects(node, request).await,
            (None, Asked::Objects(_)) if caller.is_in(NODES) => {
                pass(format!("unknown node for user {:?}", caller.name()))
            }
            _ => Decision::NOTHING,
        }
    }

    /// They depend on the pods of the moment.
    async fn rules(&self, caller: &Caller, _: &str) -> Rules {
        let unknown = caller.node().map(|_| "node authorizer does not support user rule resolution".to_owned());
        Rules { unknown: unknown.into_iter().collect(), ..Rules::default() }
    }
}

fn pass(why: impl Into<String>) -> Decision {
    Decision::Pass(why.into())
}

fn allow_if(may: bool) -> Decision {
    if may { Decision::Allow } else { Decision::NOTHING }
}

/// All nodes are read, for the sake of the network; admission sees to it that only the own one is
/// written.
fn nodes(request: &Request) -> Decision {
    let writes = matches!(request.verb, Verb::Create | Verb::Patch | Verb::Update);
    match request.subresource {
        None => allow_if(request.is_read() || writes),
        Some(Subresource::Status) => allow_if(writes || request.verb == Verb::Get),
        Some(_) => Decision::NOTHING,
    }
}

fn lease(node: &str, request: &Request) -> Decision {
    if request.namespace() != LEASES {
        return pass(format!("can only access leases in the {LEASES:?} system namespace"));
    }
    match request.verb {
        Verb::Create => Decision::Allow,
        Verb::Get | Verb::Update | Verb::Patch | Verb::Delete if request.name() == node => Decision::Allow,
        Verb::Get | Verb::Update | Verb::Patch | Verb::Delete => {
            pass("can only access node lease with the same name as the requesting node")
        }
        _ => pass("can only get, create, update, patch, or delete a node lease"),
    }
}

/// All slices are read; the one of the node's DNS is written.
fn slice(node: &str, request: &Request) -> Decision {
    let is_own = request.namespace() == DNS && request.name() == dns_slice(node);
    match request.verb {
        Verb::Get | Verb::List | Verb::Watch => Decision::Allow,
        Verb::Create if request.namespace() == DNS => Decision::Allow,
        Verb::Update | Verb::Patch | Verb::Delete if is_own => Decision::Allow,
        _ => pass(format!("can only write the endpoint slice {:?} in the {DNS:?} namespace", dns_slice(node))),
    }
}
