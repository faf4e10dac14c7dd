//! For tests: permits of whom one likes.

use async_trait::async_trait;
use nodeplane_api::kinds::{KINDS, Subresource, Verb};

use super::{Asked, Authority, Authorizer, Caller, Decision, Limits, NODES, Permit, Request};

/// Allows everything.
struct Everything;

#[async_trait]
impl Authorizer for Everything {
    async fn decide(&self, _: &Caller, _: Asked<'_>) -> Decision {
        Decision::Allow
    }
}

/// The agent of a node.
pub(crate) fn agent(node: &str) -> Caller {
    Caller::named(&format!("system:node:{node}"), vec![NODES.to_owned()])
}

/// A call on `NAMESPACE/NAME` or `NAMESPACE/`, or the same without a namespace.
pub(crate) fn request(verb: Verb, plural: &str, place: &str, subresource: Option<Subresource>) -> Request {
    let kind = KINDS.iter().find(|kind| kind.plural == plural).expect("a served kind");
    let (namespace, name) = place.split_once('/').unwrap_or(("", place));
    let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let (namespace, name) = (text(namespace), text(name));
    Request { verb, kind, namespace, name, subresource, limits: Limits::default() }
}

/// A permit for it, whoever asks.
pub(crate) async fn permit(caller: Caller, request: Request) -> Permit {
    Authority::new(vec![Box::new(Everything)]).permit(caller, request).await.expect("everything is allowed")
}
