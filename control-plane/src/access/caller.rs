//! Somebody with a name and groups.

/// Group of callers that may do everything.
pub const MASTERS: &str = "system:masters";
/// Group of node agents.
pub const NODES: &str = "system:nodes";
/// Group of everybody who showed a credential.
pub const AUTHENTICATED: &str = "system:authenticated";
/// Group of everybody who did not.
pub const UNAUTHENTICATED: &str = "system:unauthenticated";

/// What the names of node agents begin with.
const NODE_PREFIX: &str = "system:node:";

/// Somebody with a name and groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    name: String,
    groups: Vec<String>,
}

impl Caller {
    /// A caller without a credential.
    pub fn anonymous() -> Self {
        Self { name: "system:anonymous".to_owned(), groups: vec![UNAUTHENTICATED.to_owned()] }
    }

    /// Somebody by name and groups.
    pub fn named(name: &str, groups: Vec<String>) -> Self {
        Self { name: name.to_owned(), groups }
    }

    /// A part of this process, such as `system:kube-controller-manager`. It may do everything.
    pub fn component(name: &str) -> Self {
        Self { name: name.to_owned(), groups: vec![MASTERS.to_owned(), AUTHENTICATED.to_owned()] }
    }

    /// User name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Groups.
    pub fn groups(&self) -> &[String] {
        &self.groups
    }

    /// Whether the caller is in a group.
    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|g| g == group)
    }

    /// The node whose agent calls.
    pub fn node(&self) -> Option<&str> {
        self.name.strip_prefix(NODE_PREFIX).filter(|name| !name.is_empty() && self.is_in(NODES))
    }
}
