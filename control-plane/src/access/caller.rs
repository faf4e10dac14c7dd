//! Somebody with a name and groups.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// Group of callers that may do everything.
pub const MASTERS: &str = "system:masters";
/// Group of node agents.
pub const NODES: &str = "system:nodes";
/// Group of those who watch over the cluster.
pub const MONITORING: &str = "system:monitoring";
/// Group of everybody who showed a credential.
pub const AUTHENTICATED: &str = "system:authenticated";
/// Group of everybody who did not.
pub const UNAUTHENTICATED: &str = "system:unauthenticated";

/// What the names of node agents begin with.
const NODE_PREFIX: &str = "system:node:";

/// Somebody with a name and groups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    name: String,
    uid: String,
    groups: Vec<String>,
    extra: BTreeMap<String, Vec<String>>,
}

impl Caller {
    /// A caller without a credential.
    pub fn anonymous() -> Self {
        Self::named("system:anonymous", vec![UNAUTHENTICATED.to_owned()])
    }

    /// Somebody by name and groups.
    pub fn named(name: &str, groups: Vec<String>) -> Self {
        Self { name: name.to_owned(), groups, ..Self::default() }
    }

    /// A part of this process, such as `system:kube-controller-manager`. It may do everything.
    pub fn component(name: &str) -> Self {
        Self::named(name, vec![MASTERS.to_owned(), AUTHENTICATED.to_owned()])
    }

    /// The same one with a uid, which tells them from others who had the name before.
    #[must_use]
    pub fn with_uid(mut self, uid: impl Into<String>) -> Self {
        self.uid = uid.into();
        self
    }

    /// The same one with more that their credential says of them.
    #[must_use]
    pub fn with_extra(mut self, key: impl Into<String>, values: Vec<String>) -> Self {
        self.extra.entry(key.into()).or_default().extend(values);
        self
    }

    /// User name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What tells them from others who had the name before; empty for most.
    pub fn uid(&self) -> &str {
        &self.uid
    }

    /// What else their credential says of them.
    pub fn extra(&self) -> &BTreeMap<String, Vec<String>> {
        &self.extra
    }

    /// The `UserInfo` of `authentication.k8s.io/v1`.
    pub fn to_user_info(&self) -> Value {
        let mut info = json!({ "username": self.name, "groups": self.groups });
        if !self.uid.is_empty() {
            info["uid"] = self.uid.as_str().into();
        }
        if !self.extra.is_empty() {
            info["extra"] = json!(self.extra);
        }
        info
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
