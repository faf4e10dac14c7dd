//! Watches: where they start, what they show, how they end.

use http::{Method, header};
use nodeplane_api::protobuf::{encode, encode_event};
use serde_json::json;

use super::bed::{Ask, Bed, CONFIG_MAPS, MERGE_PATCH, TABLE, config_map, rv, text};

fn event(kind: &str, name: &str) -> (String, String) {
    (kind.to_owned(), name.to_owned())
}

#[tokio::test]
async fn without_a_revision_it_starts_with_what_there_is() {
    let bed = Bed::start().await;
    for name in ["a", "b"] {
        bed.post(CONFIG_MAPS, config_map(name)).await.created();
    }
    for query in ["", "&resourceVersion=0"] {
        let mut events = bed.watch(&format!("{CONFIG_MAPS}?watch=true{query}")).await;
        assert_eq!(events.next_name().await, event("ADDED", "a"));
        assert_eq!(events.next_name().await, event("ADDED", "b"));
        let name = format!("c{}", query.len());
        bed.post(CONFIG_MAPS, config_map(&name)).await.created();
        assert_eq!(events.next_name().await, event("ADDED", &name));
        bed.delete(&format!("{CONFIG_MAPS}/{name}")).await.ok();
        // The next round may start from an old state, but not from one older than this.
        bed.get(CONFIG_MAPS).await.ok();
    }
}

#[tokio::test]
async fn from_a_revision_it_shows_everything_after_it() {
    let bed = Bed::start().await;
    let first = bed.post(CONFIG_MAPS, config_map("a")).await.created();
    let second = bed.post(CONFIG_MAPS, config_map("b")).await.created();
    let patch = json!({ "data": { "a": "2" } });
    let patched = bed.patch(&format!("{CONFIG_MAPS}/a"), MERGE_PATCH, patch).await.ok();
    let mut events = bed.watch(&format!("{CONFIG_MAPS}?watch=true&resourceVersion={}", rv(&first))).await;
    assert_eq!(events.next().await, ("ADDED".to_owned(), second.clone()));
    assert_eq!(events.next().await, ("MODIFIED".to_owned(), patched));
    bed.delete(&format!("{CONFIG_MAPS}/b")).await.ok();
    let (kind, last) = events.next().await;
    assert_eq!(kind, "DELETED");
    assert_eq!(last["data"], second["data"]);
    assert!(rv(&last) > rv(&second), "the revision of a deleted object is that of its deletion");
}

#[tokio::test]
async fn a_revision_that_is_forgotten_is_told_as_an_event() {
    let mut bed = Bed::start().await;
    let first = bed.post(CONFIG_MAPS, config_map("a")).await.created();
    bed.post(CONFIG_MAPS, config_map("b")).await.created();
    bed.restart();
    bed.get(CONFIG_MAPS).await.ok();
    let mut events = bed.watch(&format!("{CONFIG_MAPS}?watch=true&resourceVersion={}", rv(&first))).await;
    let (kind, status) = events.next().await;
    assert_eq!((kind.as_str(), status["code"].as_u64(), text(&status, "/reason")), ("ERROR", Some(410), "Expired"));
    assert!(text(&status, "/message").starts_with(&format!("too old resource version: {} (", rv(&first))));
    assert_eq!(events.maybe_next().await, None);
}

#[tokio::test]
async fn objects_that_begin_or_cease_to_match_come_and_go() {
    let bed = Bed::start().await;
    let mut events = bed.watch(&format!("{CONFIG_MAPS}?watch=true&labelSelector=tier%3Dx")).await;
    let labels = |tier: &str| json!({ "metadata": { "labels": { "tier": tier } } });
    bed.post(CONFIG_MAPS, config_map("other")).await.created();
    bed.post(CONFIG_MAPS, config_map("a")).await.created();
    let path = format!("{CONFIG_MAPS}/a");
    let entered = bed.patch(&path, MERGE_PATCH, labels("x")).await.ok();
    assert_eq!(events.next().await, ("ADDED".to_owned(), entered.clone()));
    let left = bed.patch(&path, MERGE_PATCH, labels("y")).await.ok();
    let (kind, last) = events.next().await;
    assert_eq!(kind, "DELETED");
    assert_eq!(text(&last, "/metadata/labels/tier"), "x", "as it was when it last matched");
    assert_eq!(rv(&last), rv(&left), "at the revision at which it ceased to");
    // Changes and deletion out of sight are not seen.
    bed.patch(&path, MERGE_PATCH, json!({ "data": { "a": "9" } })).await.ok();
    bed.delete(&path).await.ok();
    let mut map = config_map("b");
    map["metadata"]["labels"] = json!({ "tier": "x" });
    bed.post(CONFIG_MAPS, map).await.created();
    assert_eq!(events.next_name().await, event("ADDED", "b"));
    bed.delete(&format!("{CONFIG_MAPS}/b")).await.ok();
    assert_eq!(events.next_name().await, event("DELETED", "b"));
}

#[tokio::test]
async fn one_object_can_be_watched_by_its_name() {
    let bed = Bed::start().await;
    bed.post(CONFIG_MAPS, config_map("a")).await.created();
    bed.post(CONFIG_MAPS, config_map("ab")).await.created();
    let mut events = bed.watch(&format!("{CONFIG_MAPS}?watch=true&fieldSelector=metadata.name%3Da")).await;
    assert_eq!(events.next_name().await, event("ADDED", "a"));
    bed.delete(&format!("{CONFIG_MAPS}/ab")).await.ok();
    bed.delete(&format!("{CONFIG_MAPS}/a")).await.ok();
    assert_eq!(events.next_name().await, event("DELETED", "a"));
}

#[tokio::test]
async fn a_streamed_list_says_where_it_ends() {
    let bed = Bed::start().await;
    bed.post(CONFIG_MAPS, config_map("a")).await.created();
    let list = bed.get(CONFIG_MAPS).await.ok();
    let query = "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let mut events = bed.watch(&format!("{CONFIG_MAPS}?{query}")).await;
    assert_eq!(events.next_name().await, event("ADDED", "a"));
    let (kind, bookmark) = events.next().await;
    assert_eq!((kind.as_str(), text(&bookmark, "/kind")), ("BOOKMARK", "ConfigMap"));
    assert_eq!(bookmark["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
    assert!(rv(&bookmark) >= rv(&list));
    bed.post(CONFIG_MAPS, config_map("b")).await.created();
    assert_eq!(events.next_name().await, event("ADDED", "b"));

    let query = "watch=true&sendInitialEvents=false&resourceVersionMatch=NotOlderThan";
    let mut events = bed.watch(&format!("{CONFIG_MAPS}?{query}")).await;
    bed.post(CONFIG_MAPS, config_map("c")).await.created();
    assert_eq!(events.next_name().await, event("ADDED", "c"));
}

#[tokio::test]
async fn it_ends_in_time_with_a_bookmark_for_who_wants_one() {
    let bed = Bed::start().await;
    let newest = rv(&bed.post(CONFIG_MAPS, config_map("a")).await.created());
    let path = format!("{CONFIG_MAPS}?watch=true&resourceVersion={newest}&timeoutSeconds=1");
    let mut with = bed.watch(&format!("{path}&allowWatchBookmarks=true")).await;
    let mut without = bed.watch(&path).await;
    // Something that this watch does not show, but that the bookmark covers.
    let other = bed.post("/api/v1/namespaces", json!({ "metadata": { "name": "other" } })).await.created();
    let (kind, bookmark) = with.next().await;
    assert_eq!(kind, "BOOKMARK");
    assert!(rv(&bookmark) >= rv(&other), "a bookmark moves on although nothing was shown");
    assert!(bookmark["metadata"].get("annotations").is_none());
    assert_eq!(with.maybe_next().await, None);
    assert_eq!(without.maybe_next().await, None);
}

#[tokio::test]
async fn it_ends_when_the_server_stops() {
    let bed = Bed::start().await;
    let mut events = bed.watch(&format!("{CONFIG_MAPS}?watch=true")).await;
    bed.api.stop.cancel();
    assert_eq!(events.maybe_next().await, None);
}

#[tokio::test]
async fn tables_tell_their_columns_once() {
    let bed = Bed::start().await;
    bed.post(CONFIG_MAPS, config_map("a")).await.created();
    bed.post(CONFIG_MAPS, config_map("b")).await.created();
    let ask = Ask::new(Method::GET, &format!("{CONFIG_MAPS}?watch=true")).header(header::ACCEPT, TABLE);
    let mut events = bed.watch_with(ask).await;
    let (_, first) = events.next().await;
    let (_, second) = events.next().await;
    assert_eq!((text(&first, "/kind"), text(&second, "/kind")), ("Table", "Table"));
    assert_eq!(text(&first, "/rows/0/object/metadata/name"), "a");
    assert_eq!(text(&second, "/rows/0/object/metadata/name"), "b");
    let columns = super::bed::kind("configmaps").columns.len();
    assert_eq!(first["columnDefinitions"].as_array().unwrap().len(), columns);
    assert_eq!(second["columnDefinitions"].as_array().map_or(0, Vec::len), 0);
    assert!(rv(&first) > 0);
}

#[tokio::test]
async fn metadata_alone_can_be_watched() {
    let bed = Bed::start().await;
    bed.post(CONFIG_MAPS, config_map("a")).await.created();
    let accept = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
    let ask = Ask::new(Method::GET, &format!("{CONFIG_MAPS}?watch=true")).header(header::ACCEPT, accept);
    let (kind, object) = bed.watch_with(ask).await.next().await;
    assert_eq!((kind.as_str(), text(&object, "/kind")), ("ADDED", "PartialObjectMetadata"));
    assert_eq!(text(&object, "/metadata/name"), "a");
    assert!(object.get("data").is_none());
}

#[tokio::test]
async fn parameters_that_mean_nothing_are_refused() {
    let bed = Bed::start().await;
    let refused =
        async |query: &str| bed.get(&format!("{CONFIG_MAPS}?watch=true&{query}")).await.failed(422, "Invalid");
    assert!(refused("sendInitialEvents=true").await.contains("requires setting resourceVersionMatch to NotOlderThan"));
    assert!(refused("resourceVersionMatch=NotOlderThan").await.contains("unless sendInitialEvents is provided"));
    bed.get(&format!("{CONFIG_MAPS}?watch=true&resourceVersion=x")).await.failed(400, "BadRequest");
    let yaml = Ask::new(Method::GET, &format!("{CONFIG_MAPS}?watch=true")).header(header::ACCEPT, "application/yaml");
    bed.send(yaml).await.failed(406, "NotAcceptable");
}

#[tokio::test]
async fn all_watchers_see_the_same_order() {
    let bed = Bed::start().await;
    let path = format!("{CONFIG_MAPS}?watch=true");
    let mut watchers = Vec::new();
    for _ in 0..5 {
        watchers.push(bed.watch(&path).await);
    }
    let names: Vec<String> = (0..20).map(|number| format!("m{number}")).collect();
    futures::future::join_all(names.iter().map(|name| bed.post(CONFIG_MAPS, config_map(name)))).await;
    let mut orders = Vec::new();
    for watcher in &mut watchers {
        let mut order = Vec::new();
        for _ in 0..20 {
            order.push(watcher.next_name().await.1);
        }
        orders.push(order);
    }
    assert!(orders.windows(2).all(|pair| pair[0] == pair[1]), "{orders:?}");
}

#[tokio::test]
async fn an_event_is_encoded_once_per_form_however_many_watch() {
    const FORMS: [&str; 4] = [
        "application/json",
        "application/vnd.kubernetes.protobuf",
        "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io",
        "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;v=v1;g=meta.k8s.io",
    ];
    let bed = Bed::start().await;
    let from = rv(&bed.get(CONFIG_MAPS).await.ok());
    let mut watches = Vec::new();
    for number in 0..12 {
        let path = format!("{CONFIG_MAPS}?watch=true&resourceVersion={from}");
        let mut watch = bed.watch_with(Ask::new(Method::GET, &path).header(header::ACCEPT, FORMS[number % 4])).await;
        // It listens before anything happens, so that nothing comes from the history.
        assert!(futures::poll!(std::pin::pin!(watch.piece())).is_pending());
        watches.push(watch);
    }
    for change in ["created", "changed", "deleted"] {
        match change {
            "created" => drop(bed.post(CONFIG_MAPS, config_map("a")).await.created()),
            "changed" => {
                let patch = json!({ "data": { "a": "2" } });
                bed.patch(&format!("{CONFIG_MAPS}/a"), MERGE_PATCH, patch).await.ok();
            }
            _ => drop(bed.delete(&format!("{CONFIG_MAPS}/a")).await.ok()),
        }
        let mut addresses = Vec::new();
        let mut frames = Vec::new();
        for watch in &mut watches {
            let frame = watch.piece().await;
            addresses.push(frame.as_ptr());
            frames.push(frame);
        }
        assert!(addresses.chunks(4).all(|some| some == &addresses[..4]), "{change}: the same bytes in memory");
        assert!((1..4).all(|form| frames[form] != frames[0]), "{change}: each form its own");
    }
}

#[tokio::test]
async fn all_forms_tell_the_revision_of_a_deletion() {
    let bed = Bed::start().await;
    let created = bed.post(CONFIG_MAPS, config_map("a")).await.created();
    let path = format!("{CONFIG_MAPS}?watch=true&resourceVersion={}", rv(&created));
    let watch = async |accept: &str| bed.watch_with(Ask::new(Method::GET, &path).header(header::ACCEPT, accept)).await;
    let mut whole = watch("application/json").await;
    let mut metadata = watch("application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io").await;
    let mut table = watch(TABLE).await;
    let mut protobuf = watch("application/vnd.kubernetes.protobuf").await;
    bed.delete(&format!("{CONFIG_MAPS}/a")).await.ok();
    let (_, last) = whole.next().await;
    assert!(rv(&last) > rv(&created));
    assert_eq!(metadata.next().await.1["metadata"], last["metadata"]);
    let (_, last_table) = table.next().await;
    assert_eq!(last_table["rows"][0]["object"]["metadata"], last["metadata"]);
    assert_eq!(rv(&last_table), rv(&last));
    let expected = encode_event("DELETED", &encode(&last).unwrap());
    assert_eq!(protobuf.bytes(expected.len()).await, expected);
}
