//! A call on objects, as access checks see it.

use nodeplane_api::kinds::{Kind, Subresource, Verb};

/// A call on objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What is to be done.
    pub verb: Verb,
    /// To objects of which kind.
    pub kind: &'static Kind,
    /// In which namespace; `None` for cluster-scoped kinds and for all namespaces.
    pub namespace: Option<String>,
    /// To which object; `None` for a collection.
    pub name: Option<String>,
    /// To which part of the object.
    pub subresource: Option<Subresource>,
    /// What a list or a watch is limited to.
    pub limits: Limits,
}

/// What the field selector of a list or a watch demands, as far as access checks look at it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// `metadata.name`.
    pub name: Option<String>,
    /// `spec.nodeName`.
    pub node: Option<String>,
}

/// The same in plain words, for what the API does not serve.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Such as `create`, `bind` or `*`.
    pub verb: String,
    /// API group.
    pub group: String,
    /// Plural of the resource.
    pub resource: String,
    /// Part of the object; empty for the whole.
    pub subresource: String,
    /// Namespace; empty for cluster-scoped resources and for all namespaces.
    pub namespace: String,
    /// Name of the object; empty for all.
    pub name: String,
}

impl Request {
    /// The object's name; empty for a collection.
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }

    /// The namespace; empty for cluster-scoped kinds and for all namespaces.
    pub fn namespace(&self) -> &str {
        self.namespace.as_deref().unwrap_or_default()
    }

    /// The one object that can be meant, by the path or by the selector; empty otherwise.
    pub fn only(&self) -> &str {
        self.name.as_deref().or(self.limits.name.as_deref()).unwrap_or_default()
    }

    /// Group and plural of the resource.
    pub fn resource(&self) -> (&'static str, &'static str) {
        (self.kind.group, self.kind.plural)
    }

    /// Whether the call only reads.
    pub fn is_read(&self) -> bool {
        matches!(self.verb, Verb::Get | Verb::List | Verb::Watch)
    }
}
