//! What the API serves, told to clients: the legacy lists and aggregated discovery (KEP-3352).
//!
//! In: the table of kinds. Out: documents with entity tags. The table never changes while the
//! server runs, so neither do they.

use http::header;
use nodeplane_api::{
    kinds::{KINDS, Kind, Scope, Verb},
    status::Status,
};
use serde_json::{Value, json};

use super::{
    call::Call,
    fingerprint::fingerprint,
    negotiate::{Form, Range},
    reply::Reply,
};

/// `/api` and `/apis`: aggregated when the client asks for it, legacy otherwise.
///
/// # Errors
/// 406 when the client takes neither.
pub fn versions(call: &Call, core: bool, address: &str) -> Result<Reply, Status> {
    match aggregated_version(call) {
        Some(version) => {
            let content_type = match version {
                "v2" => "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
                _ => "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList",
            };
            Ok(tagged(call, content_type, &aggregated(version, core)))
        }
        None if core => document(call, &core_versions(address)),
        None => document(call, &groups()),
    }
}

/// The version of aggregated discovery that the client prefers, if it accepts any.
fn aggregated_version(call: &Call) -> Option<&'static str> {
    let accept = call.headers.get_all(header::ACCEPT);
    let ranges = accept.iter().filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(',')).map(Range::parse);
    for range in ranges {
        let aggregated = range.media_type == "application/json"
            && range.parameter("g") == "apidiscovery.k8s.io"
            && range.parameter("as") == "APIGroupDiscoveryList";
        match range.parameter("v") {
            "v2" if aggregated => return Some("v2"),
            "v2beta1" if aggregated => return Some("v2beta1"),
            _ => {}
        }
    }
    None
}

fn document(call: &Call, value: &Value) -> Result<Reply, Status> {
    let codec = Form::of_document(call)?;
    Ok(Reply::ok(codec.media_type(), codec.encode(value)?))
}

/// A document that the client may keep for as long as its tag stays the same.
fn tagged(call: &Call, content_type: &'static str, value: &Value) -> Reply {
    let body = value.to_string();
    let tag = format!("\"{}\"", fingerprint(body.as_bytes()));
    let reply = if call.header(&header::IF_NONE_MATCH) == tag {
        Reply::new(http::StatusCode::NOT_MODIFIED, content_type, "")
    } else {
        Reply::ok(content_type, body)
    };
    reply.with_header(header::ETAG, &tag).with_header(header::VARY, "Accept")
}

/// All groups in the order of the table, each with its versions in the order of the table.
fn groups_with_versions(core: bool) -> Vec<(&'static str, Vec<&'static str>)> {
    let mut found: Vec<(&str, Vec<&str>)> = Vec::new();
    for kind in KINDS.iter().filter(|kind| kind.group.is_empty() == core) {
        match found.iter_mut().find(|(group, _)| *group == kind.group) {
            Some((_, versions)) if versions.contains(&kind.version) => {}
            Some((_, versions)) => versions.push(kind.version),
            None => found.push((kind.group, vec![kind.version])),
        }
    }
    found
}

fn kinds_of(group: &str, version: &str) -> impl Iterator<Item = &'static Kind> {
    KINDS.iter().filter(move |kind| kind.group == group && kind.version == version)
}

fn aggregated(version: &str, core: bool) -> Value {
    let items: Vec<Value> = groups_with_versions(core)
        .iter()
        .map(|(group, versions)| {
            let versions: Vec<Value> = versions
                .iter()
                .map(|version| {
                    let resources: Vec<Value> = kinds_of(group, version).map(aggregated_resource).collect();
                    json!({ "version": version, "freshness": "Current", "resources": resources })
                })
                .collect();
            let metadata = if group.is_empty() { json!({}) } else { json!({ "name": group }) };
            json!({ "metadata": metadata, "versions": versions })
        })
        .collect();
    json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": format!("apidiscovery.k8s.io/{version}"),
        "metadata": {},
        "items": items,
    })
}

fn aggregated_resource(kind: &'static Kind) -> Value {
    let mut resource = json!({
        "resource": kind.plural,
        "responseKind": { "group": kind.group, "version": kind.version, "kind": kind.kind },
        "scope": match kind.scope { Scope::Cluster => "Cluster", Scope::Namespaced => "Namespaced" },
        "singularResource": kind.singular,
        "verbs": verb_names(kind.verbs),
    });
    if !kind.short_names.is_empty() {
        resource["shortNames"] = json!(kind.short_names);
    }
    if !kind.categories.is_empty() {
        resource["categories"] = json!(kind.categories);
    }
    if !kind.parts.is_empty() {
        let parts = kind.parts.iter().map(|part| {
            let (group, version, name) = part.document_of(kind);
            json!({
                "subresource": part.name(),
                "responseKind": { "group": group, "version": version, "kind": name },
                "verbs": verb_names(part.verbs),
            })
        });
        resource["subresources"] = parts.collect();
    }
    resource
}

fn verb_names(verbs: &[Verb]) -> Vec<&'static str> {
    verbs.iter().map(|verb| verb.name()).collect()
}

fn core_versions(address: &str) -> Value {
    json!({
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{ "clientCIDR": "0.0.0.0/0", "serverAddress": address }],
    })
}

fn groups() -> Value {
    let groups: Vec<Value> =
        groups_with_versions(false).iter().map(|(group, versions)| api_group(group, versions)).collect();
    json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": groups })
}

fn api_group(group: &str, versions: &[&str]) -> Value {
    let versions: Vec<Value> =
        versions.iter().map(|v| json!({ "groupVersion": format!("{group}/{v}"), "version": v })).collect();
    json!({ "name": group, "versions": versions, "preferredVersion": versions[0] })
}

/// `/apis/GROUP`.
///
/// # Errors
/// 404 for a group that is not served, 406.
pub fn group(call: &Call, group: &str) -> Result<Reply, Status> {
    let found = groups_with_versions(false).into_iter().find(|(name, _)| *name == group);
    let (group, versions) = found.ok_or_else(Status::no_such_path)?;
    let mut document_of = api_group(group, &versions);
    document_of["kind"] = "APIGroup".into();
    document_of["apiVersion"] = "v1".into();
    document(call, &document_of)
}

/// `/api/v1` and `/apis/GROUP/VERSION`.
///
/// # Errors
/// 406.
pub fn resources(call: &Call, group: &str, version: &str) -> Result<Reply, Status> {
    let list: Vec<Value> = kinds_of(group, version).flat_map(legacy_resources).collect();
    let group_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    document(
        call,
        &json!({
            "kind": "APIResourceList",
            "apiVersion": "v1",
            "groupVersion": group_version,
            "resources": list,
        }),
    )
}

fn legacy_resources(kind: &'static Kind) -> Vec<Value> {
    let mut own = json!({
        "name": kind.plural,
        "singularName": kind.singular,
        "namespaced": kind.is_namespaced(),
        "kind": kind.kind,
        "verbs": verb_names(kind.verbs),
    });
    if !kind.short_names.is_empty() {
        own["shortNames"] = json!(kind.short_names);
    }
    if !kind.categories.is_empty() {
        own["categories"] = json!(kind.categories);
    }
    let parts = kind.parts.iter().map(|part| {
        let (group, version, name) = part.document_of(kind);
        let mut entry = json!({
            "name": format!("{}/{}", kind.plural, part.name()),
            "singularName": "",
            "namespaced": kind.is_namespaced(),
            "kind": name,
            "verbs": verb_names(part.verbs),
        });
        if (group, version) != (kind.group, kind.version) {
            entry["group"] = group.into();
            entry["version"] = version.into();
        }
        entry
    });
    std::iter::once(own).chain(parts).collect()
}
