//! Reading: one object, lists, pages.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use futures::{StreamExt, stream};
use http::header;
use serde_json::{Value, json};

use super::bed::{Ask, Bed, CONFIG_MAPS, PODS, TABLE, config_map, pod, rv, text};

async fn maps(bed: &Bed, names: &[&str]) {
    for name in names {
        bed.post(CONFIG_MAPS, config_map(name)).await.created();
    }
}

fn names(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(|item| text(item, "/metadata/name")).collect()
}

#[tokio::test]
async fn an_object_is_read_as_it_was_stored() {
    let bed = Bed::start().await;
    let created = bed.post(CONFIG_MAPS, config_map("a")).await.created();
    for query in ["", &format!("?resourceVersion={}", rv(&created)), "?resourceVersion=0"] {
        assert_eq!(bed.get(&format!("{CONFIG_MAPS}/a{query}")).await.ok(), created, "{query}");
    }
    let missing = bed.get(&format!("{CONFIG_MAPS}/b")).await;
    assert_eq!(missing.body["details"], json!({ "kind": "configmaps", "name": "b" }));
    assert_eq!(missing.failed(404, "NotFound"), "configmaps \"b\" not found");
}

#[tokio::test]
async fn lists_have_their_type_their_revision_and_their_objects_in_order() {
    let bed = Bed::start().await;
    maps(&bed, &["c", "a", "b"]).await;
    let list = bed.get(CONFIG_MAPS).await.ok();
    assert_eq!((text(&list, "/kind"), text(&list, "/apiVersion")), ("ConfigMapList", "v1"));
    assert_eq!(names(&list), ["a", "b", "c"]);
    let newest = list["items"].as_array().unwrap().iter().map(rv).max().unwrap();
    assert!(rv(&list) >= newest);
    assert!(list["metadata"].get("continue").is_none());
    // Also over all namespaces.
    assert_eq!(names(&bed.get("/api/v1/configmaps").await.ok()), ["a", "b", "c"]);
}

#[tokio::test]
async fn a_long_list_is_whole_and_in_order_in_every_form() {
    let bed = Bed::start().await;
    let expected: Vec<String> = (0..1100).map(|number| format!("m{number:04}")).collect();
    let made = stream::iter(&expected).map(|name| bed.post(CONFIG_MAPS, config_map(name))).buffer_unordered(100);
    made.for_each(|answer| async { drop(answer.created()) }).await;
    let list = bed.get(CONFIG_MAPS).await.ok();
    assert_eq!(names(&list), expected);
    let table = bed.send(Ask::new(http::Method::GET, CONFIG_MAPS).header(header::ACCEPT, TABLE)).await.ok();
    let rows = table["rows"].as_array().unwrap().iter().map(|row| text(row, "/cells/0"));
    assert!(rows.eq(expected.iter().map(String::as_str)), "{}", table["rows"].as_array().unwrap().len());
}

#[tokio::test]
async fn pages_show_the_state_of_the_first_one() {
    let bed = Bed::start().await;
    maps(&bed, &["a", "b", "c", "d", "e"]).await;
    let first = bed.get(&format!("{CONFIG_MAPS}?limit=2")).await.ok();
    assert_eq!(names(&first), ["a", "b"]);
    assert_eq!(first["metadata"]["remainingItemCount"], 3);
    // Opaque to clients, and in the form that upstream gives it.
    let token = URL_SAFE_NO_PAD.decode(text(&first, "/metadata/continue")).unwrap();
    let expected = json!({ "v": "meta.k8s.io/v1", "rv": rv(&first), "start": "b\0" });
    assert_eq!(serde_json::from_slice::<Value>(&token).unwrap(), expected);
    // What happens between the pages is not seen by them.
    bed.delete(&format!("{CONFIG_MAPS}/c")).await.ok();
    bed.post(CONFIG_MAPS, config_map("bb")).await.created();
    let token = text(&first, "/metadata/continue");
    let second = bed.get(&format!("{CONFIG_MAPS}?limit=2&continue={token}")).await.ok();
    assert_eq!(names(&second), ["c", "d"]);
    assert_eq!(rv(&second), rv(&first));
    let token = text(&second, "/metadata/continue");
    let third = bed.get(&format!("{CONFIG_MAPS}?limit=2&continue={token}")).await.ok();
    assert_eq!(names(&third), ["e"]);
    assert!(third["metadata"].get("continue").is_none() && third["metadata"].get("remainingItemCount").is_none());
    assert_eq!(names(&bed.get(CONFIG_MAPS).await.ok()), ["a", "b", "bb", "d", "e"]);
}

#[tokio::test]
async fn pages_with_selectors_do_not_count_what_follows() {
    let bed = Bed::start().await;
    for (name, tier) in [("a", "x"), ("b", "y"), ("c", "x"), ("d", "y"), ("e", "x")] {
        let mut map = config_map(name);
        map["metadata"]["labels"] = json!({ "tier": tier });
        bed.post(CONFIG_MAPS, map).await.created();
    }
    let first = bed.get(&format!("{CONFIG_MAPS}?limit=2&labelSelector=tier%3Dx")).await.ok();
    assert_eq!(names(&first), ["a", "c"]);
    assert!(first["metadata"].get("remainingItemCount").is_none());
    let token = text(&first, "/metadata/continue");
    let second = bed.get(&format!("{CONFIG_MAPS}?limit=2&labelSelector=tier%3Dx&continue={token}")).await.ok();
    assert_eq!(names(&second), ["e"]);
    assert!(second["metadata"].get("continue").is_none());
}

#[tokio::test]
async fn a_page_of_a_forgotten_state_leads_on_in_the_present() {
    let mut bed = Bed::start().await;
    maps(&bed, &["a", "b", "c"]).await;
    let first = bed.get(&format!("{CONFIG_MAPS}?limit=1")).await.ok();
    let token = text(&first, "/metadata/continue");
    bed.delete(&format!("{CONFIG_MAPS}/b")).await.ok();
    forget(&mut bed).await;
    let expired = bed.get(&format!("{CONFIG_MAPS}?limit=1&continue={token}")).await;
    let token = text(&expired.body, "/metadata/continue").to_owned();
    let message = expired.failed(410, "Expired");
    assert_eq!(
        message,
        "The provided continue parameter is too old to display a consistent list result. You can start a new list \
         without the continue parameter, or use the continue token in this response to retrieve the remainder of the \
         results. Continuing with the provided token results in an inconsistent list - objects that were created, \
         modified, or deleted between the time the first chunk was returned and now may show up in the list."
    );
    let rest = bed.get(&format!("{CONFIG_MAPS}?continue={token}")).await.ok();
    assert_eq!(names(&rest), ["c"]);
    let newest = rv(&bed.get(CONFIG_MAPS).await.ok());
    assert_eq!(rv(&rest), newest);
    let exact = format!("{CONFIG_MAPS}?resourceVersion={}&resourceVersionMatch=Exact", rv(&first));
    let gone = bed.get(&exact).await.failed(410, "Expired");
    assert_eq!(gone, "The resourceVersion for the provided list is too old.");
}

/// Makes store and server forget everything before now.
async fn forget(bed: &mut Bed) {
    let newest = bed.store.revision().await.unwrap();
    bed.store.compact(newest).await.unwrap();
    bed.restart();
}

#[tokio::test]
async fn a_revision_of_the_past_can_be_listed_and_one_of_the_future_cannot() {
    let bed = Bed::start().await;
    maps(&bed, &["a", "b"]).await;
    let before = rv(&bed.get(CONFIG_MAPS).await.ok());
    maps(&bed, &["c"]).await;
    let exact = format!("{CONFIG_MAPS}?resourceVersion={before}&resourceVersionMatch=Exact");
    let list = bed.get(&exact).await.ok();
    assert_eq!((names(&list), rv(&list)), (vec!["a", "b"], before));
    // With a limit, a revision alone means the same.
    let legacy = bed.get(&format!("{CONFIG_MAPS}?resourceVersion={before}&limit=10")).await.ok();
    assert_eq!(names(&legacy), ["a", "b"]);
    assert_eq!(names(&bed.get(CONFIG_MAPS).await.ok()), ["a", "b", "c"]);
    for query in ["", "&resourceVersionMatch=NotOlderThan"] {
        let list = bed.get(&format!("{CONFIG_MAPS}?resourceVersion={before}{query}")).await.ok();
        assert_eq!(names(&list), ["a", "b", "c"], "{query}");
    }
    let future = before + 1_000_000;
    let answer = bed.get(&format!("{CONFIG_MAPS}?resourceVersion={future}&resourceVersionMatch=NotOlderThan")).await;
    assert_eq!(answer.body["details"]["causes"][0]["reason"], "ResourceVersionTooLarge");
    assert_eq!(answer.headers[header::RETRY_AFTER], "1");
    let message = answer.failed(504, "Timeout");
    assert!(message.contains(&format!("Too large resource version: {future}, current: ")), "{message}");
}

#[tokio::test]
async fn parameters_that_mean_nothing_are_refused() {
    let bed = Bed::start().await;
    let refused = async |query: &str| bed.get(&format!("{CONFIG_MAPS}?{query}")).await.failed(422, "Invalid");
    assert_eq!(
        refused("resourceVersionMatch=Exact").await,
        "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden \
         unless resourceVersion is provided"
    );
    assert!(refused("resourceVersion=0&resourceVersionMatch=Exact").await.contains("\"exact\" is forbidden"));
    assert!(refused("resourceVersion=1&resourceVersionMatch=Most").await.contains("Unsupported value: \"Most\""));
    assert!(refused("sendInitialEvents=true").await.contains("sendInitialEvents is forbidden for list"));

    let bad = async |query: &str| bed.get(&format!("{CONFIG_MAPS}?{query}")).await.failed(400, "BadRequest");
    assert!(bad("resourceVersion=new").await.starts_with("invalid resource version"));
    assert!(bad("continue=nonsense").await.starts_with("invalid continue token"));
    assert!(bad("labelSelector=a%3D%3D%3Db").await.contains("unable to parse requirement"));
    assert!(bad("fieldSelector=spec.x%3D1").await.contains("\"spec.x\" is not a known field selector"));
    assert!(bad("limit=many").await.contains("invalid syntax"));
    let pods = bed.get(&format!("{PODS}?fieldSelector=spec.x%3D1")).await.failed(400, "BadRequest");
    assert_eq!(pods, "field label not supported: spec.x");
}

#[tokio::test]
async fn selectors_choose_by_labels_and_fields() {
    let bed = Bed::start().await;
    for (name, node, labels) in [
        ("a", "n1", json!({ "app": "x" })),
        ("b", "n2", json!({ "app": "y" })),
        ("c", "", json!({ "app": "x", "new": "" })),
    ] {
        let mut pod = pod(name);
        pod["metadata"]["labels"] = labels;
        if !node.is_empty() {
            pod["spec"]["nodeName"] = node.into();
        }
        bed.post(PODS, pod).await.created();
    }
    let chosen = async |query: &str| {
        let list = bed.get(&format!("{PODS}?{query}")).await.ok();
        names(&list).join(",")
    };
    assert_eq!(chosen("labelSelector=app%3Dx").await, "a,c");
    assert_eq!(chosen("labelSelector=app+in+(x,y),!new").await, "a,b");
    assert_eq!(chosen("fieldSelector=spec.nodeName%3Dn2").await, "b");
    assert_eq!(chosen("fieldSelector=spec.nodeName%3D").await, "c");
    assert_eq!(chosen("fieldSelector=spec.nodeName!%3Dn1,status.phase!%3DFailed").await, "b,c");
    assert_eq!(chosen("fieldSelector=metadata.name%3Db").await, "b");
    assert_eq!(chosen("fieldSelector=metadata.name%3Db&labelSelector=app%3Dx").await, "");
    let everywhere = "/api/v1/pods?fieldSelector=metadata.name%3Da,metadata.namespace%3D";
    assert_eq!(names(&bed.get(&format!("{everywhere}default")).await.ok()), ["a"]);
    assert_eq!(names(&bed.get(&format!("{everywhere}other")).await.ok()).len(), 0);
}

#[tokio::test]
async fn a_table_has_the_columns_of_the_kind_and_a_row_per_object() {
    let bed = Bed::start().await;
    maps(&bed, &["a", "b"]).await;
    let columns = super::bed::kind("configmaps").columns.len();
    for (path, rows) in [(CONFIG_MAPS.to_owned(), 2), (format!("{CONFIG_MAPS}/a"), 1)] {
        let ask = Ask::new(http::Method::GET, &path).header(header::ACCEPT, TABLE);
        let table = bed.send(ask).await.ok();
        assert_eq!((text(&table, "/kind"), text(&table, "/apiVersion")), ("Table", "meta.k8s.io/v1"));
        assert!(rv(&table) > 0);
        assert_eq!(table["columnDefinitions"].as_array().unwrap().len(), columns);
        assert_eq!(table["rows"].as_array().unwrap().len(), rows);
        let row = &table["rows"][0];
        assert_eq!(row["cells"].as_array().unwrap().len(), columns);
        assert_eq!(text(row, "/object/kind"), "PartialObjectMetadata");
        assert_eq!(text(row, "/object/metadata/name"), "a");
        assert!(row["object"].get("data").is_none());
    }
    let whole = Ask::new(http::Method::GET, &format!("{CONFIG_MAPS}?includeObject=Object"));
    let table = bed.send(whole.header(header::ACCEPT, TABLE)).await.ok();
    assert_eq!(text(&table, "/rows/0/object/data/a"), "1");
}

#[tokio::test]
async fn an_object_has_the_same_bytes_alone_in_a_list_and_after_it_was_written() {
    let bed = Bed::start().await;
    let created = bed.post(CONFIG_MAPS, config_map("a")).await;
    assert_eq!(created.code, 201, "{}", created.text);
    let alone = bed.get(&format!("{CONFIG_MAPS}/a")).await;
    assert_eq!(alone.text, created.text);
    let list = bed.get(CONFIG_MAPS).await.text;
    assert!(list.ends_with(&format!(",\"items\":[{}]}}", alone.text)), "{list}");
}

#[tokio::test]
async fn yaml_says_the_same_as_json() {
    let bed = Bed::start().await;
    maps(&bed, &["a", "b"]).await;
    let table = TABLE.replace("json", "yaml");
    for (path, yaml, json) in [
        (CONFIG_MAPS.to_owned(), "application/yaml", "application/json"),
        (format!("{CONFIG_MAPS}/a"), "application/yaml", "application/json"),
        (format!("{CONFIG_MAPS}?includeObject=None"), &*table, TABLE),
    ] {
        let ask = |accept| Ask::new(http::Method::GET, &path).header(header::ACCEPT, accept);
        let (yaml, json) = (bed.send(ask(yaml)).await, bed.send(ask(json)).await.ok());
        assert_eq!(yaml.headers[header::CONTENT_TYPE], "application/yaml");
        assert_eq!(serde_yaml::from_str::<Value>(&yaml.text).unwrap(), json);
    }
}
