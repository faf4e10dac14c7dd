//! Parts of objects with paths of their own, as data.
//!
//! A part that is only written through (a status) is a row of this file and nothing else: which
//! fields its writes change stands here. A part that does something has a handler among the
//! verbs.

use super::{Kind, Verb};

/// Names a part of an object that is read or written under a path of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subresource {
    /// `status`: what is, as its keeper tells.
    Status,
    /// `scale`: an `autoscaling/v1` view of `.spec.replicas`.
    Scale,
    /// `binding`: assigns a pod to a node.
    Binding,
    /// `ephemeralcontainers`: containers that look into a pod that runs.
    EphemeralContainers,
    /// `eviction`: a pod goes, if its disruption budget allows it.
    Eviction,
    /// `log`: a container's output, streamed from the node.
    Log,
    /// `finalize`: what still holds a namespace.
    Finalize,
    /// `approval`: whether a certificate may be issued.
    Approval,
    /// `token`: a token with which an account calls the API.
    Token,
}

impl Subresource {
    /// The path segment, as in `pods/NAME/log`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Scale => "scale",
            Self::Binding => "binding",
            Self::EphemeralContainers => "ephemeralcontainers",
            Self::Eviction => "eviction",
            Self::Log => "log",
            Self::Finalize => "finalize",
            Self::Approval => "approval",
            Self::Token => "token",
        }
    }
}

/// What a kind's row says of one subresource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Which one.
    pub subresource: Subresource,
    /// What can be done to it.
    pub verbs: &'static [Verb],
    /// Group, version and kind of what it takes and gives, when that is not the object itself.
    pub document: Option<(&'static str, &'static str, &'static str)>,
    /// JSON pointers of the fields that a write changes; all others stay. Empty for a part whose
    /// handler knows.
    pub writes: &'static [&'static str],
    /// JSON pointers of the fields that a write changes when it has them: left out, they stay.
    pub may_write: &'static [&'static str],
}

const READ_AND_WRITE: &[Verb] = &[Verb::Get, Verb::Patch, Verb::Update];

const fn handled(subresource: Subresource, verbs: &'static [Verb]) -> Part {
    Part { subresource, verbs, document: None, writes: &[], may_write: &[] }
}

/// `.status`, and the annotations that agents keep next to it. An agent may write a status that
/// it made from nothing, so that annotations which are left out stay.
pub(super) const STATUS: Part = Part {
    writes: &["/status"],
    may_write: &["/metadata/annotations"],
    ..handled(Subresource::Status, READ_AND_WRITE)
};

/// How many replicas a workload has and should have.
pub(super) const SCALE: Part =
    Part { document: Some(("autoscaling", "v1", "Scale")), ..handled(Subresource::Scale, READ_AND_WRITE) };

/// A pod's node.
pub(super) const BINDING: Part =
    Part { document: Some(("", "v1", "Binding")), ..handled(Subresource::Binding, &[Verb::Create]) };

/// The containers that look into a pod.
pub(super) const EPHEMERAL_CONTAINERS: Part =
    Part { writes: &["/spec/ephemeralContainers"], ..handled(Subresource::EphemeralContainers, READ_AND_WRITE) };

/// A pod's end, as its disruption budget allows it.
pub(super) const EVICTION: Part =
    Part { document: Some(("policy", "v1", "Eviction")), ..handled(Subresource::Eviction, &[Verb::Create]) };

/// A container's output.
pub(super) const LOG: Part = handled(Subresource::Log, &[Verb::Get]);

/// A namespace's finalizers.
pub(super) const FINALIZE: Part =
    Part { writes: &["/spec/finalizers"], ..handled(Subresource::Finalize, &[Verb::Update]) };

/// The decision about a certificate.
pub(super) const APPROVAL: Part =
    Part { writes: &["/status/conditions"], ..handled(Subresource::Approval, READ_AND_WRITE) };

/// A token of a service account.
pub(super) const TOKEN: Part = Part {
    document: Some(("authentication.k8s.io", "v1", "TokenRequest")),
    ..handled(Subresource::Token, &[Verb::Create])
};

impl Part {
    /// The path segment, as in `pods/NAME/log`.
    pub fn name(&self) -> &'static str {
        self.subresource.name()
    }

    /// Group, version and kind of what it takes and gives, for objects of `kind`.
    pub fn document_of(&self, kind: &Kind) -> (&'static str, &'static str, &'static str) {
        self.document.unwrap_or((kind.group, kind.version, kind.kind))
    }
}
