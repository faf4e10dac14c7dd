//! From a path to what is asked for, by the table of kinds.
//!
//! In: method, path, query. Out: a [`Route`]. There is no route per kind, and nothing here
//! touches an object.

use http::Method;
use nodeplane_api::{
    kinds::{self, KINDS, Kind, Subresource, Verb},
    selector::FieldSelector,
    status::Status,
};

use super::call::{Query, decode};
use crate::access::{Limits, Request};

/// Where a call goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// An object, a collection, or a part of an object.
    Resource(Request),
    /// What tells about the API and not about objects.
    About(About),
}

/// What there is about the API itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
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
    /// `/.well-known/openid-configuration`: who issues service account tokens.
    OpenIdConfiguration,
    /// `/openid/v1/jwks`: the keys that they are checked with.
    OpenIdKeys,
    /// `/version`.
    Version,
    /// `/healthz`, `/livez`, `/readyz`, or one check below them.
    Health {
        /// `healthz`, `livez` or `readyz`.
        probe: &'static str,
        /// The one check that is asked for.
        check: Option<String>,
    },
    /// `/metrics`.
    Metrics,
    /// `/`: the list of paths.
    Root,
}

/// Finds the route of a call.
///
/// # Errors
/// 404 for a path that leads nowhere, 405 for a method that the path does not take.
pub fn find(method: &Method, path: &str, query: &Query) -> Result<Route, Status> {
    let decoded = segments(path);
    let segments: Vec<&str> = decoded.iter().map(String::as_str).collect();
    let about = match segments.as_slice() {
        [] => About::Root,
        ["api"] => About::CoreVersions,
        ["apis"] => About::Groups,
        ["api", version] => resources("", version)?,
        ["apis", group] => About::Group(known_group(group)?),
        ["apis", group, version] => resources(group, version)?,
        ["api", version, rest @ ..] => return resource(method, query, "", version, rest),
        ["apis", group, version, rest @ ..] => return resource(method, query, group, version, rest),
        ["openapi", "v3"] => About::OpenApiIndex,
        ["openapi", "v3", "api", version] => open_api("", version)?,
        ["openapi", "v3", "apis", group, version] => open_api(group, version)?,
        ["openapi", "v2"] => About::OpenApiV2,
        [".well-known", "openid-configuration"] => About::OpenIdConfiguration,
        ["openid", "v1", "jwks"] => About::OpenIdKeys,
        ["version"] => About::Version,
        ["metrics"] => About::Metrics,
        [probe @ ("healthz" | "livez" | "readyz"), check @ ..] => health(probe, check)?,
        _ => return Err(Status::no_such_path()),
    };
    if matches!(*method, Method::GET | Method::HEAD) {
        Ok(Route::About(about))
    } else {
        Err(Status::method_not_allowed())
    }
}

/// A path as access rules name it, whichever way a client wrote it.
pub fn plain(path: &str) -> String {
    format!("/{}", segments(path).join("/"))
}

fn segments(path: &str) -> Vec<String> {
    path.split('/').filter(|segment| !segment.is_empty()).map(|segment| decode(segment, false)).collect()
}

fn health(probe: &str, check: &[&str]) -> Result<About, Status> {
    let probe = ["healthz", "livez", "readyz"].into_iter().find(|p| *p == probe).ok_or_else(Status::no_such_path)?;
    match check {
        [] => Ok(About::Health { probe, check: None }),
        // Names of checks may have a slash.
        check => Ok(About::Health { probe, check: Some(check.join("/")) }),
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

fn resources(group: &str, version: &str) -> Result<About, Status> {
    known_version(group, version).map(|(group, version)| About::Resources(group, version))
}

fn open_api(group: &str, version: &str) -> Result<About, Status> {
    known_version(group, version).map(|(group, version)| About::OpenApi(group, version))
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
    let limits = limits(query, kind);
    Ok(Route::Resource(Request { verb, kind, namespace, name, subresource, limits }))
}

/// What the field selector demands. One that cannot be read demands nothing, and fails later.
fn limits(query: &Query, kind: &Kind) -> Limits {
    let fields = FieldSelector::parse(query.text("fieldSelector"), kind).unwrap_or_default();
    let exact = |field: &str| fields.exact(field).map(str::to_owned);
    Limits { name: exact("metadata.name"), node: exact("spec.nodeName") }
}

fn is_namespace_part(segment: &str) -> bool {
    matches!(segment, "status" | "finalize")
}

fn part(kind: &Kind, segment: &str) -> Result<Subresource, Status> {
    let found = kind.parts.iter().find(|part| part.name() == segment);
    found.map(|part| part.subresource).ok_or_else(Status::no_such_path)
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
    let verbs = match subresource {
        Some(subresource) => kind.part(subresource).map_or(&[][..], |part| part.verbs),
        None => kind.verbs,
    };
    if verbs.contains(&verb) { Ok(verb) } else { Err(Status::method_not_allowed()) }
}
