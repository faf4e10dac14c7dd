//! What kubectl and other clients read out of the documents.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read,
    sync::LazyLock,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use nodeplane_api::kinds::Kind;

use super::*;
use crate::http::{
    call::{Call, Query},
    reply::Body,
};

fn call(path: &str, query: &str) -> Call {
    let (path, query) = (path.to_owned(), Query::parse(query));
    Call { method: Method::GET, path, query, headers: HeaderMap::new(), body: Bytes::new(), from: None }
}

fn body(reply: Reply) -> Value {
    let Body::Whole(bytes) = reply.body else { panic!("a stream") };
    serde_json::from_slice(&bytes).unwrap()
}

fn versions() -> BTreeSet<(&'static str, &'static str)> {
    KINDS.iter().map(|kind| (kind.group, kind.version)).collect()
}

/// The document of a version, made once for all tests.
fn describe_version(group: &'static str, version: &'static str) -> &'static Value {
    static ALL: LazyLock<BTreeMap<(&str, &str), Value>> = LazyLock::new(|| {
        let of = |own: &(&str, &str)| describe(KINDS.iter().filter(|kind| (kind.group, kind.version) == *own));
        versions().into_iter().map(|own| (own, of(&own))).collect()
    });
    &ALL[&(group, version)]
}

fn walk<'a>(value: &'a Value, seen: &mut impl FnMut(&'a Value)) {
    seen(value);
    match value {
        Value::Object(map) => map.values().for_each(|value| walk(value, seen)),
        Value::Array(items) => items.iter().for_each(|value| walk(value, seen)),
        _ => {}
    }
}

#[test]
fn every_reference_leads_to_a_schema() {
    for (group, version) in versions() {
        let document = describe_version(group, version);
        let mut references = 0;
        walk(document, &mut |value| {
            if let Some(target) = value["$ref"].as_str() {
                references += 1;
                let pointer = target.strip_prefix('#').unwrap();
                assert!(document.pointer(pointer).is_some(), "{group}/{version}: {target}");
                assert_eq!(value.as_object().unwrap().len(), 1, "{target} has siblings, which readers ignore");
            }
        });
        assert!(references > 20, "{group}/{version} refers to {references} schemas only");
    }
}

fn names(kind: &Kind) -> Value {
    json!({ "group": kind.group, "version": kind.version, "kind": kind.kind })
}

#[test]
fn kubectl_finds_each_kind_by_its_group_version_and_kind() {
    for kind in KINDS {
        let document = describe_version(kind.group, kind.version);
        let schema = &document["components"]["schemas"][(kind.shape.definition)().as_ref()];
        assert_eq!(schema["x-kubernetes-group-version-kind"], json!([names(kind)]), "{kind:?}");
        assert!(schema["description"].as_str().is_some_and(|text| text.len() > 10), "{kind:?} is not described");
        assert_eq!(schema["type"], "object");
        for field in ["apiVersion", "kind"] {
            assert_eq!(schema["properties"][field]["type"], "string", "{kind:?} lacks {field}");
        }
        // A reference stands alone where nothing is said beside it.
        let metadata = &schema["properties"]["metadata"];
        let is_there = metadata["allOf"][0]["$ref"].is_string() || metadata["$ref"].is_string();
        assert!(is_there, "{kind:?} has no metadata");
    }
}

#[test]
fn patches_say_that_they_validate_fields_and_take_strategic_merges() {
    for kind in KINDS.iter().filter(|kind| kind.is_stored()) {
        let document = describe_version(kind.group, kind.version);
        let root = if kind.group.is_empty() { "/api/v1".to_owned() } else { format!("/apis/{}", kind.api_version()) };
        let place = if kind.is_namespaced() { "/namespaces/{namespace}" } else { "" };
        let path = format!("{root}{place}/{}/{{name}}", kind.plural);
        let patch = &document["paths"][&path]["patch"];
        assert_eq!(patch["x-kubernetes-group-version-kind"], names(kind), "{path}");
        assert_eq!(patch["x-kubernetes-action"], "patch");
        let mut parameters = patch["parameters"].as_array().unwrap().iter();
        assert!(parameters.any(|p| p["name"] == "fieldValidation" && p["in"] == "query"), "{path}");
        assert!(parameters.any(|p| p["name"] == "force" && p["schema"]["type"] == "boolean"), "{path}");
        assert!(patch["responses"]["201"]["content"]["application/json"].is_object(), "{path}");
        for media_type in ["strategic-merge-patch+json", "merge-patch+json", "json-patch+json", "apply-patch+yaml"] {
            let media_type = &format!("application/{media_type}");
            assert!(patch["requestBody"]["content"][media_type].is_object(), "{path} {media_type}");
        }
        for part in kind.parts {
            let (group, version, name) = part.document_of(kind);
            let written = &document["paths"][format!("{path}/{}", part.name())];
            let named = json!({ "group": group, "version": version, "kind": name });
            let operations: Vec<&Value> =
                written.as_object().unwrap().iter().filter(|(key, _)| *key != "parameters").map(|(_, op)| op).collect();
            assert!(!operations.is_empty(), "{path}/{}", part.name());
            for operation in operations {
                assert_eq!(operation["x-kubernetes-group-version-kind"], named, "{path}/{}", part.name());
            }
        }
    }
}

#[test]
fn lists_say_how_they_merge() {
    let core = describe_version("", "v1");
    let schemas = &core["components"]["schemas"];
    let containers = &schemas["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"];
    assert_eq!(containers["x-kubernetes-patch-merge-key"], "name");
    assert_eq!(containers["x-kubernetes-patch-strategy"], "merge");
    assert_eq!(containers["x-kubernetes-list-type"], "map");
    assert_eq!(containers["x-kubernetes-list-map-keys"], json!(["name"]));
    let ports = &schemas["io.k8s.api.core.v1.ServiceSpec"]["properties"]["ports"];
    assert_eq!(ports["x-kubernetes-patch-merge-key"], "port");
    assert_eq!(ports["x-kubernetes-list-map-keys"], json!(["port", "protocol"]));
    let owners = &schemas["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"]["properties"]["ownerReferences"];
    assert_eq!(owners["x-kubernetes-patch-merge-key"], "uid");
}

#[test]
fn what_is_a_number_or_text_says_so() {
    let core = describe_version("", "v1");
    let schema = &core["components"]["schemas"]["io.k8s.apimachinery.pkg.util.intstr.IntOrString"];
    let alternatives = schema["oneOf"].as_array().unwrap();
    for of_type in ["string", "integer"] {
        let matches = |a: &Value| a["type"] == of_type || (of_type == "integer" && a["type"] == "number");
        assert!(alternatives.iter().any(matches), "{schema}");
    }
}

#[tokio::test]
async fn the_index_names_addresses_that_never_change_their_content() {
    let documents = Arc::new(Documents::default());
    let index = body(documents.index(&call("/openapi/v3", "")).await.unwrap());
    assert_eq!(index["paths"].as_object().unwrap().len(), versions().len());
    let address = index["paths"]["apis/apps/v1"]["serverRelativeURL"].as_str().unwrap();
    let (path, query) = address.split_once('?').unwrap();
    assert_eq!(path, "/openapi/v3/apis/apps/v1");

    let reply = documents.group(&call(path, query), "apps", "v1").unwrap();
    assert_eq!(reply.headers[header::CACHE_CONTROL], "public, immutable");
    assert!(reply.headers.contains_key(header::EXPIRES));
    assert_eq!(reply.headers[header::VARY], "Accept");
    let tag = reply.headers[header::ETAG].clone();

    let moved = documents.group(&call(path, "hash=WRONG"), "apps", "v1").unwrap();
    assert_eq!(moved.status, StatusCode::MOVED_PERMANENTLY);
    assert_eq!(moved.headers[header::LOCATION], address);

    let mut again = call(path, query);
    again.headers.insert(header::IF_NONE_MATCH, tag);
    assert_eq!(documents.group(&again, "apps", "v1").unwrap().status, StatusCode::NOT_MODIFIED);

    // Two servers of one version agree, so that a client may switch between them.
    assert_eq!(index, body(Arc::new(Documents::default()).index(&call("/openapi/v3", "")).await.unwrap()));
}

#[tokio::test]
async fn the_old_document_comes_in_both_forms_and_only_once() {
    let documents = Arc::new(Documents::default());
    let reply = documents.legacy(&call("/openapi/v2", "")).await.unwrap();
    let tag = reply.headers[header::ETAG].clone();
    assert_eq!(reply.headers[header::CONTENT_TYPE], "application/json");
    assert_eq!(body(reply)["swagger"], "2.0");
    let mut again = call("/openapi/v2", "");
    again.headers.insert(header::IF_NONE_MATCH, tag);
    assert_eq!(documents.legacy(&again).await.unwrap().status, StatusCode::NOT_MODIFIED);

    let mut as_kubectl = call("/openapi/v2", "");
    let media_type = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
    as_kubectl.headers.insert(header::ACCEPT, HeaderValue::from_static(media_type));
    let reply = documents.legacy(&as_kubectl).await.unwrap();
    assert_eq!(reply.headers[header::CONTENT_TYPE], media_type.replace('@', "."));
    let Body::Whole(bytes) = reply.body else { panic!("a stream") };
    assert!(bytes.windows(5).any(|part| part == b"\x0a\x032.0"));
}

#[tokio::test]
async fn documents_travel_compressed_to_those_who_read_gzip() {
    let documents = Arc::new(Documents::default());
    let mut asked = call("/openapi/v3/apis/apps/v1", "");
    let plain = body(documents.group(&asked, "apps", "v1").unwrap());
    asked.headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    let reply = documents.group(&asked, "apps", "v1").unwrap();
    assert_eq!(reply.headers[header::CONTENT_ENCODING], "gzip");
    let Body::Whole(bytes) = reply.body else { panic!("a stream") };
    let mut text = String::new();
    flate2::read::GzDecoder::new(&*bytes).read_to_string(&mut text).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), plain);
    documents.legacy(&asked).await.unwrap();
    documents.index(&asked).await.unwrap();
    let weight: usize = documents.slots.iter().map(|slot| slot.document().weight()).sum();
    let weight = weight + documents.legacy_document(LegacyForm::Json).weight();
    assert!(weight < 1_500_000, "{weight} bytes stay in memory");
}

/// The schema that a property leads to, and the property itself.
fn below<'a>(schemas: &'a Value, property: &'a Value) -> Option<&'a str> {
    let inner = [Some(property), property.get("items"), property.get("additionalProperties")];
    let target = |schema: &'a Value| schema.get("$ref").or_else(|| schema["allOf"][0].get("$ref"))?.as_str();
    let name = inner.into_iter().flatten().find_map(target)?.strip_prefix("#/components/schemas/")?;
    schemas[name]["properties"].is_object().then_some(name)
}

#[test]
fn every_field_of_every_kind_is_explained() {
    let mut silent = BTreeSet::new();
    let mut fields = 0;
    for (group, version) in versions() {
        let document = describe_version(group, version);
        let schemas = &document["components"]["schemas"];
        let kinds = KINDS.iter().filter(|kind| (kind.group, kind.version) == (group, version));
        let mut waiting: Vec<String> = kinds.map(|kind| (kind.shape.definition)().into_owned()).collect();
        let mut seen: BTreeSet<String> = waiting.iter().cloned().collect();
        while let Some(name) = waiting.pop() {
            let properties = schemas[&name]["properties"].as_object();
            for (field, property) in properties.unwrap_or_else(|| panic!("{group}/{version}: no {name}")) {
                fields += 1;
                if property["description"].as_str().unwrap_or_default().is_empty() {
                    silent.insert(format!("{name}.{field}"));
                }
                if let Some(next) = below(schemas, property).filter(|next| seen.insert((*next).to_owned())) {
                    waiting.push(next.to_owned());
                }
            }
        }
    }
    assert_eq!(silent, BTreeSet::new());
    assert!(fields > 2000, "{fields} fields only");
}
