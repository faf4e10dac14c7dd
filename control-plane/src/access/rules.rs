//! What somebody may do, told in advance (`SelfSubjectRulesReview`).

use serde::Serialize;

/// Verbs on resources.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceRule {
    /// Such as `create`; `*` for all.
    pub verbs: Vec<String>,
    /// API groups; `*` for all.
    pub api_groups: Vec<String>,
    /// Resources, `PLURAL` or `PLURAL/SUBRESOURCE`; `*` for all.
    pub resources: Vec<String>,
    /// Names of objects; empty for all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resource_names: Vec<String>,
}

impl ResourceRule {
    /// A rule on all objects.
    pub fn new(verbs: &[&str], groups: &[&str], resources: &[&str]) -> Self {
        let [verbs, api_groups, resources] = [verbs, groups, resources].map(owned);
        Self { verbs, api_groups, resources, resource_names: Vec::new() }
    }
}

/// Verbs on paths that lead to no objects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PathRule {
    /// Such as `get`; `*` for all.
    pub verbs: Vec<String>,
    /// Such as `/healthz` or `/apis/*`; `*` for all.
    #[serde(rename = "nonResourceURLs")]
    pub urls: Vec<String>,
}

impl PathRule {
    /// A rule on some paths.
    pub fn new(verbs: &[&str], urls: &[&str]) -> Self {
        Self { verbs: owned(verbs), urls: owned(urls) }
    }
}

/// What somebody may do in a namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// On resources.
    pub resources: Vec<ResourceRule>,
    /// On paths.
    pub paths: Vec<PathRule>,
    /// Why there may be more; empty when this is all.
    pub unknown: Vec<String>,
}

impl Rules {
    /// Takes over those of another authorizer.
    pub(super) fn join(&mut self, other: Self) {
        let Self { resources, paths, unknown } = other;
        self.resources.extend(resources);
        self.paths.extend(paths);
        self.unknown.extend(unknown);
    }
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}
