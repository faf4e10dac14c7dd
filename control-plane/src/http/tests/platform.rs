//! What the API says about itself: discovery in its forms, negotiation, health.

use http::{Method, header};
use nodeplane_api::kinds::{KINDS, Part};
use serde_json::{Value, json};

use super::bed::{Answer, Ask, Bed, CONFIG_MAPS, config_map, text};

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,\
    application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";

async fn accepting(bed: &Bed, path: &str, accept: &str) -> Answer {
    bed.send(Ask::new(Method::GET, path).header(header::ACCEPT, accept)).await
}

#[tokio::test]
async fn aggregated_discovery_names_every_kind_in_one_document_per_root() {
    let bed = Bed::start().await;
    for (accept, version) in [(AGGREGATED, "v2"), (AGGREGATED.split_once(',').unwrap().1, "v2beta1")] {
        let mut found = Vec::new();
        for path in ["/api?timeout=32s", "/apis?timeout=32s"] {
            let answer = accepting(&bed, path, accept).await;
            let content_type = answer.headers[header::CONTENT_TYPE].to_str().unwrap();
            assert_eq!(
                content_type,
                format!("application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList")
            );
            let tag = answer.headers[header::ETAG].to_str().unwrap().to_owned();
            let list = answer.ok();
            assert_eq!(text(&list, "/apiVersion"), format!("apidiscovery.k8s.io/{version}"));
            for group in list["items"].as_array().unwrap() {
                for version in group["versions"].as_array().unwrap() {
                    found.extend(version["resources"].as_array().unwrap().iter().cloned());
                }
            }
            let again = Ask::new(Method::GET, path).header(header::ACCEPT, accept).header(header::IF_NONE_MATCH, &tag);
            assert_eq!(bed.send(again).await.code, 304);
        }
        assert_eq!(found.len(), KINDS.len());
        for (resource, kind) in found.iter().zip(KINDS) {
            assert_eq!(text(resource, "/resource"), kind.plural);
            assert_eq!(
                resource["responseKind"],
                json!({ "group": kind.group, "version": kind.version, "kind": kind.kind })
            );
            assert_eq!(text(resource, "/scope"), if kind.is_namespaced() { "Namespaced" } else { "Cluster" });
            let parts: Vec<&str> = resource["subresources"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|part| text(part, "/subresource"))
                .collect();
            assert_eq!(parts, kind.parts.iter().map(Part::name).collect::<Vec<_>>());
        }
    }
}

#[tokio::test]
async fn legacy_discovery_leads_from_groups_to_resources() {
    let bed = Bed::start().await;
    let core = bed.get("/api").await.ok();
    assert_eq!((text(&core, "/kind"), &core["versions"]), ("APIVersions", &json!(["v1"])));
    let groups = bed.get("/apis").await.ok();
    assert_eq!(text(&groups, "/kind"), "APIGroupList");
    let mut roots = vec!["/api/v1".to_owned()];
    for group in groups["groups"].as_array().unwrap() {
        let own = bed.get(&format!("/apis/{}", text(group, "/name"))).await.ok();
        assert_eq!(text(&own, "/preferredVersion/version"), text(group, "/preferredVersion/version"));
        for version in group["versions"].as_array().unwrap() {
            roots.push(format!("/apis/{}", text(version, "/groupVersion")));
        }
    }
    let mut names: Vec<String> = Vec::new();
    for root in &roots {
        let list = bed.get(root).await.ok();
        assert_eq!(text(&list, "/kind"), "APIResourceList");
        names.extend(list["resources"].as_array().unwrap().iter().map(|r| text(r, "/name").to_owned()));
    }
    for kind in KINDS {
        assert!(names.iter().any(|name| name == kind.plural), "{kind:?}");
        for part in kind.parts {
            assert!(names.contains(&format!("{}/{}", kind.plural, part.name())), "{kind:?} {part:?}");
        }
    }
    bed.get("/apis/nonsense.example.com").await.no_such_path();
    bed.get("/apis/apps/v9").await.no_such_path();
}

#[tokio::test]
async fn the_first_acceptable_form_is_taken() {
    let bed = Bed::start().await;
    bed.post(CONFIG_MAPS, config_map("a")).await.created();
    let path = format!("{CONFIG_MAPS}/a");
    let protobuf_first = accepting(&bed, &path, "application/vnd.kubernetes.protobuf,application/json").await;
    assert_eq!(protobuf_first.headers[header::CONTENT_TYPE], "application/vnd.kubernetes.protobuf");
    assert_eq!(text(&accepting(&bed, &path, "*/*").await.ok(), "/kind"), "ConfigMap");
    assert_eq!(text(&accepting(&bed, &path, "application/json, */*").await.ok(), "/kind"), "ConfigMap");
    let yaml = accepting(&bed, &path, "application/yaml").await;
    assert_eq!(yaml.headers[header::CONTENT_TYPE], "application/yaml");
    assert!(yaml.text.contains("kind: ConfigMap\n"), "{}", yaml.text);
    let weighted = accepting(&bed, &path, "application/json;q=0.5,application/yaml").await;
    assert_eq!(weighted.headers[header::CONTENT_TYPE], "application/yaml");
    let metadata = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
    let partial = accepting(&bed, &path, metadata).await.ok();
    assert_eq!(text(&partial, "/kind"), "PartialObjectMetadata");
    assert!(partial.get("data").is_none());
    let list = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";
    let partial = accepting(&bed, CONFIG_MAPS, list).await.ok();
    assert_eq!(text(&partial, "/kind"), "PartialObjectMetadataList");
    assert_eq!(text(&partial, "/items/0/kind"), "PartialObjectMetadata");
    accepting(&bed, &path, "image/png").await.failed(406, "NotAcceptable");
    // A failure is always readable.
    accepting(&bed, &format!("{CONFIG_MAPS}/b"), "application/json;as=Table;v=v1;g=meta.k8s.io")
        .await
        .failed(404, "NotFound");
}

#[tokio::test]
async fn the_version_is_what_clients_compare_with() {
    let bed = Bed::start().await;
    let version = bed.get("/version").await.ok();
    assert_eq!((text(&version, "/major"), text(&version, "/minor")), ("1", "33"));
    assert!(text(&version, "/gitVersion").starts_with("v1.33."));
    let emulated = ["emulationMajor", "emulationMinor", "minCompatibilityMajor", "minCompatibilityMinor"];
    assert_eq!(emulated.map(|field| version[field].as_str().unwrap()), ["1", "33", "1", "32"]);
    for field in ["gitCommit", "gitTreeState", "buildDate", "goVersion", "compiler"] {
        assert!(!text(&version, &format!("/{field}")).is_empty(), "{field}");
    }
    assert!(text(&version, "/platform").starts_with("linux/"));
}

#[tokio::test]
async fn paths_and_methods_that_do_not_exist_are_told_apart() {
    let bed = Bed::start().await;
    for path in ["/nonsense", "/api/v1/nonsense", "/api/v1/namespaces/default/nodes", "/apis/apps/v1/pods"] {
        bed.get(path).await.no_such_path();
    }
    bed.put(CONFIG_MAPS, json!({})).await.failed(405, "MethodNotAllowed");
    bed.post("/version", json!({})).await.failed(405, "MethodNotAllowed");
    bed.post(&format!("{CONFIG_MAPS}/a"), json!({})).await.failed(405, "MethodNotAllowed");
}

#[tokio::test]
async fn head_is_get_without_a_body() {
    let bed = Bed::start().await;
    bed.post(CONFIG_MAPS, config_map("a")).await.created();
    let head = bed.send(Ask::new(Method::HEAD, &format!("{CONFIG_MAPS}/a"))).await;
    assert_eq!((head.code, head.text.as_str()), (200, ""));
    assert_eq!(head.body, Value::Null);
}

#[tokio::test]
async fn answers_are_not_kept_unless_they_say_so() {
    let bed = Bed::start().await;
    for path in [CONFIG_MAPS, "/version", "/no/such/path", "/apis"] {
        assert_eq!(bed.get(path).await.headers[header::CACHE_CONTROL], "no-cache, private", "{path}");
    }
    let index = bed.get("/openapi/v3").await.ok();
    let address = text(&index, "/paths/api~1v1/serverRelativeURL");
    assert_eq!(bed.get(address).await.headers[header::CACHE_CONTROL], "public, immutable");
}

#[tokio::test]
async fn what_takes_too_long_is_given_up() {
    let never = std::future::pending::<Result<(), nodeplane_api::status::Status>>();
    let late = crate::http::within(std::time::Duration::from_millis(5), never).await.unwrap_err();
    assert_eq!((late.code, late.reason.as_str(), late.retry_after()), (504, "Timeout", None));
    assert!(late.message.contains("did not complete within requested timeout"), "{late}");
    let soon = async { Ok(7) };
    assert_eq!(crate::http::within(std::time::Duration::from_secs(9), soon).await, Ok(7));
}
