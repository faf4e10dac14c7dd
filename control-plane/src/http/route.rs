//! From a path to what is asked for, by the table of kinds.
//!
//! In: method, path, query. Out: a [`Route`]. There is no route per kind, and nothing here
//! touches an object.

use http::Method;
use nodeplane_api::{
    kinds::{self, KINDS, Kind, Subresource},
    status::Status,
};

use super::call::{Query, decode};

/// Where a call goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// An object, a collection, or a part of an object.
    Resource(Request),
    /// `/api`: versions of the core group, or its aggregated discovery.
    CoreVersions,
    /// `/apis`: all named groups, or their aggregated discovery.
    Groups,
    /// `/apis/GROUP`.
    Group(&'static str),
    /// `/api/v1` or `/apis/GROUP/VERSION`: the resources of one version.
    Resources(&'static str, &'static str),
    /// `/openapi/v3`: where the documents are.
    OpenApiIndex,
    /// `/openapi/v3/api/v1` or `/openapi/v3/apis/GROUP/VERSION`.
    OpenApi(&'static str, &'static str),
    /// `/openapi/v2`.
    OpenApiV2,
    /// `/version`.
    Version,
    /// `/healthz`, `/livez`, `/readyz`, or one check below them.
    Health {
        /// `healthz`, `livez` or `readyz`.
        probe: &'static str,
        /// The one check that is asked for.
        check: Option<String>,
    },
    /// `/`: the list of paths.
    Root,
}

impl Route {
    /// Whether callers without a credential may come here.
    pub fn is_public(&self) -> bool {
        matches!(self, Self::Version | Self::Health { .. })
    }

    /// Whether the route tells about the API and not about objects.
    pub fn is_discovery(&self) -> bool {
        !matches!(self, Self::Resource(_))
    }
}

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
}

/// What can be done to objects, in the words of RBAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Read one.
    Get,
    /// Read many.
    List,
    /// Follow changes.
    Watch,
    /// Make one.
    Create,
    /// Replace one.
    Update,
    /// Change one.
    Patch,
    /// Remove one.
    Delete,
    /// Remove many.
    DeleteCollection,
}

impl Verb {
    /// The word that RBAC rules and discovery use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
        }
    }
}

/// Finds the route of a call.
///
/// # Errors
/// 404 for a path that leads nowhere, 405 for a method that the path does not take.
pub fn find(method: &Method, path: &str, query: &Query) -> Result<Route, Status> {
    let decoded: Vec<String> =
        path.trim_matches('/').split('/').filter(|s| !s.is_empty()).map(|s| decode(s, false)).collect();
    let segments: Vec<&str> = decoded.iter().map(String::as_str).collect();
    let route = match segments.as_slice() {
        [] => Route::Root,
        ["api"] => Route::CoreVersions,
        ["apis"] => Route::Groups,
        ["api", version] => resources("", version)?,
        ["apis", group] => Route::Group(known_group(group)?),
        ["apis", group, version] => resources(group, version)?,
        ["api", version, rest @ ..] => return resource(method, query, "", version, rest),
        ["apis", group, version, rest @ ..] => return resource(method, query, group, version, rest),
        ["openapi", "v3"] => Route::OpenApiIndex,
        ["openapi", "v3", "api", version] => open_api("", version)?,
        ["openapi", "v3", "apis", group, version] => open_api(group, version)?,
        ["openapi", "v2"] => Route::OpenApiV2,
        ["version"] => Route::Version,
        [probe @ ("healthz" | "livez" | "readyz"), check @ ..] => health(probe, check)?,
        _ => return Err(Status::no_such_path()),
    };
    if matches!(*method, Method::GET | Method::HEAD) { Ok(route) } else { Err(Status::method_not_allowed()) }
}

fn health(probe: &str, check: &[&str]) -> Result<Route, Status> {
    let probe = ["healthz", "livez", "readyz"].into_iter().find(|p| *p == probe).ok_or_else(Status::no_such_path)?;
    match check {
        [] => Ok(Route::Health { probe, check: None }),
        [check] => Ok(Route::Health { probe, check: Some((*check).to_owned()) }),
        _ => Err(Status::no_such_path()),
    }
}

fn known_group(group: &str) -> Result<&'static str, Status> {
    let found = KINDS.iter().find(|k| !group.is_empty() && k.group == group);
    found.map(|k| k.group).ok_or_else(Status::no_such_path)
}

fn known_version(group: &str, version: &str) -> Result<(&'static str, &'static str), Status> {
    let found = KINDS.iter().find(|k| k.group == group && k.version == version);
    found.map(|k| (k.group, k.version)).ok_or_else(Status::no_such_path)
}

fn resources(group: &str, version: &str) -> Result<Route, Status> {
    known_version(group, version).map(|(group, version)| Route::Resources(group, version))
}

fn open_api(group: &str, version: &str) -> Result<Route, Status> {
    known_version(group, version).map(|(group, version)| Route::OpenApi(group, version))
}

/// Finds a resource below `/api/v1` or `/apis/GROUP/VERSION`.
fn resource(method: &Method, query: &Query, group: &str, version: &str, rest: &[&str]) -> Result<Route, Status> {
    let (namespace, rest) = match rest {
        // `/namespaces/NAME/status` is a part of the namespace, not a kind called `status`.
        ["namespaces", _, sub, ..] if group.is_empty() && is_namespace_part(sub) => (None, rest),
        ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (Some((*namespace).to_owned()), rest),
        _ => (None, rest),
    };
    let [plural, rest @ ..] = rest else { return Err(Status::no_such_path()) };
    let kind = kinds::by_plural(group, version, plural).ok_or_else(Status::no_such_path)?;
    if namespace.is_some() && !kind.is_namespaced() {
        return Err(Status::no_such_path());
    }
    let (name, subresource) = match rest {
        [] => (None, None),
        [name] => (Some((*name).to_owned()), None),
        [name, sub] => (Some((*name).to_owned()), Some(part(kind, sub)?)),
        _ => return Err(Status::no_such_path()),
    };
    if name.is_some() && namespace.is_none() && kind.is_namespaced() {
        return Err(Status::no_such_path());
    }
    let scoped = namespace.is_some() || !kind.is_namespaced();
    let verb = verb(kind, method, query, name.is_some(), scoped, subresource)?;
    Ok(Route::Resource(Request { verb, kind, namespace, name, subresource }))
}

fn is_namespace_part(segment: &str) -> bool {
    matches!(segment, "status" | "finalize")
}

fn part(kind: &Kind, segment: &str) -> Result<Subresource, Status> {
    kind.subresources.iter().copied().find(|s| s.name() == segment).ok_or_else(Status::no_such_path)
}

fn verb(
    kind: &Kind,
    method: &Method,
    query: &Query,
    named: bool,
    scoped: bool,
    subresource: Option<Subresource>,
) -> Result<Verb, Status> {
    let verb = match *method {
        Method::GET | Method::HEAD if named => Verb::Get,
        Method::GET | Method::HEAD if query.flag("watch") => Verb::Watch,
        Method::GET | Method::HEAD => Verb::List,
        Method::POST if (named && subresource.is_some()) || (!named && scoped) => Verb::Create,
        Method::PUT if named => Verb::Update,
        Method::PATCH if named => Verb::Patch,
        Method::DELETE if named => Verb::Delete,
        Method::DELETE if scoped => Verb::DeleteCollection,
        _ => return Err(Status::method_not_allowed()),
    };
    match subresource {
        Some(sub) if !verbs_of(sub).contains(&verb) => Err(Status::method_not_allowed()),
        None if !verbs_of_kind(kind).contains(&verb) => Err(Status::method_not_allowed()),
        _ => Ok(verb),
    }
}

/// What can be done to a kind's objects.
pub fn verbs_of_kind(kind: &Kind) -> &'static [Verb] {
    const ALL: &[Verb] = &[
        Verb::Create,
        Verb::Delete,
        Verb::DeleteCollection,
        Verb::Get,
        Verb::List,
        Verb::Patch,
        Verb::Update,
        Verb::Watch,
    ];
    // A namespace takes its contents with it; nobody may remove them all at once.
    const NO_COLLECTION: &[Verb] =
        &[Verb::Create, Verb::Delete, Verb::Get, Verb::List, Verb::Patch, Verb::Update, Verb::Watch];
    if kind.plural == "namespaces" { NO_COLLECTION } else { ALL }
}

/// What can be done to a part of an object.
pub fn verbs_of(subresource: Subresource) -> &'static [Verb] {
    match subresource {
        Subresource::Status | Subresource::Scale => &[Verb::Get, Verb::Patch, Verb::Update],
        Subresource::Binding => &[Verb::Create],
        Subresource::Log => &[Verb::Get],
        Subresource::Finalize => &[Verb::Update],
    }
}
