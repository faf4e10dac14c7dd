//! Typed objects of Go clients: protobuf in, protobuf out.

use http::{Method, header};
use nodeplane_api::protobuf;
use serde_json::{Value, json};

use super::bed::{Answer, Ask, Bed, CONFIG_MAPS, PODS, TABLE, config_map, pod};

const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

/// A call with a body and an answer in protobuf.
async fn call(bed: &Bed, method: Method, path: &str, body: Option<&Value>) -> Answer {
    let mut ask = Ask::new(method, path).header(header::ACCEPT, &format!("{PROTOBUF},application/json"));
    if let Some(body) = body {
        ask = ask.raw_body(protobuf::encode(body).unwrap()).header(header::CONTENT_TYPE, PROTOBUF);
    }
    bed.send(ask).await
}

fn read(answer: &Answer) -> Value {
    assert_eq!(answer.headers[header::CONTENT_TYPE], PROTOBUF, "{}", answer.text);
    protobuf::decode(&answer.bytes, ("", "")).unwrap()
}

#[tokio::test]
async fn an_object_travels_both_ways() {
    let bed = Bed::start().await;
    let asked = pod("a");
    let created = call(&bed, Method::POST, PODS, Some(&asked)).await;
    assert_eq!(created.code, 201, "{}", created.text);
    let as_json = bed.get(&format!("{PODS}/a")).await.ok();
    assert_eq!(read(&created), as_json);
    let mut changed = read(&call(&bed, Method::GET, &format!("{PODS}/a"), None).await);
    changed["metadata"]["labels"] = json!({ "tier": "web" });
    let changed = call(&bed, Method::PUT, &format!("{PODS}/a"), Some(&changed)).await;
    assert_eq!(read(&changed)["metadata"]["labels"]["tier"], "web");
}

#[tokio::test]
async fn deletion_reads_its_options_and_answers_in_protobuf() {
    let bed = Bed::start().await;
    bed.post(CONFIG_MAPS, config_map("a")).await.created();
    let path = format!("{CONFIG_MAPS}/a");
    let options = json!({ "apiVersion": "v1", "kind": "DeleteOptions", "preconditions": { "uid": "another" } });
    let refused = call(&bed, Method::DELETE, &path, Some(&options)).await;
    assert_eq!(refused.body["reason"], "Conflict", "{}", refused.text);
    let options = json!({ "apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background" });
    let status = read(&call(&bed, Method::DELETE, &path, Some(&options)).await);
    assert_eq!((&status["kind"], &status["status"]), (&json!("Status"), &json!("Success")));
}

#[tokio::test]
async fn a_watch_frames_its_events_by_length() {
    let bed = Bed::start().await;
    bed.post(CONFIG_MAPS, config_map("a")).await.created();
    let stored = bed.get(&format!("{CONFIG_MAPS}/a")).await.ok();
    let ask = Ask::new(Method::GET, &format!("{CONFIG_MAPS}?watch=true")).header(header::ACCEPT, PROTOBUF);
    let mut events = bed.watch_with(ask).await;
    let event = protobuf::encode_event("ADDED", &protobuf::encode(&stored).unwrap());
    assert_eq!(events.bytes(event.len()).await, event);
}

#[tokio::test]
async fn tables_are_never_protobuf() {
    let bed = Bed::start().await;
    let ask = |accept: &str| Ask::new(Method::GET, CONFIG_MAPS).header(header::ACCEPT, accept);
    let table = format!("{PROTOBUF};as=Table;v=v1;g=meta.k8s.io");
    bed.send(ask(&table)).await.failed(406, "NotAcceptable");
    assert_eq!(bed.send(ask(&format!("{table},{TABLE}"))).await.ok()["kind"], "Table");
}

#[tokio::test]
async fn metadata_alone_travels_too() {
    let bed = Bed::start().await;
    bed.post(CONFIG_MAPS, config_map("a")).await.created();
    let accept = format!("{PROTOBUF};as=PartialObjectMetadata;g=meta.k8s.io;v=v1");
    let path = format!("{CONFIG_MAPS}/a");
    let partial = read(&bed.send(Ask::new(Method::GET, &path).header(header::ACCEPT, &accept)).await);
    assert_eq!(partial["kind"], "PartialObjectMetadata");
    assert_eq!(partial["metadata"]["name"], "a");
    assert!(partial.get("data").is_none(), "{partial}");
}

#[tokio::test]
async fn a_body_that_is_none_is_refused_and_stores_nothing() {
    let bed = Bed::start().await;
    for (body, why) in [
        (&b"{}"[..], "the body does not start with \"k8s\\0\""),
        (b"k8s\0\x12\x04\x0a\x02\x08\x01", "wrong wire type for a field"),
        (b"k8s\0\x0a\x0b\x0a\x02v9\x12\x05Thing", "no kind \"Thing\" is registered for version \"v9\""),
    ] {
        let ask = Ask::new(Method::POST, CONFIG_MAPS).raw_body(body).header(header::CONTENT_TYPE, PROTOBUF);
        let refused = bed.send(ask).await.failed(400, "BadRequest");
        assert!(refused.contains("must be of type ConfigMap") && refused.contains(why), "{refused}");
    }
    assert_eq!(bed.get(CONFIG_MAPS).await.ok()["items"], json!([]));
}
