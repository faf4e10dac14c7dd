//! Rows that show what another row stores: one object, whichever way one looks at it.

use http::{Method, header};
use nodeplane_api::{
    kinds::{KINDS, Kind},
    protobuf,
};
use serde_json::{Value, json};

use super::{
    bed::{Ask, Bed, MERGE_PATCH, TABLE, collection, rv, text},
    kinds::minimal,
};

const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

/// Every view with the path of its objects and of those of the row that stores them.
fn views() -> impl Iterator<Item = (&'static Kind, String, String)> {
    let views = KINDS.iter().filter(|kind| kind.is_view());
    views.map(|kind| (kind, collection(kind), collection(kind.stored())))
}

fn metadata(object: &Value) -> (u64, &str, &str) {
    (rv(object), text(object, "/metadata/uid"), text(object, "/apiVersion"))
}

#[tokio::test]
async fn all_rows_show_one_object_and_one_history() {
    let bed = Bed::start().await;
    for (kind, view, stored) in views() {
        let (own, other) = (kind.api_version(), kind.stored().api_version());
        let start = rv(&bed.get(&view).await.ok());
        let mut events = Vec::new();
        for path in [&view, &stored] {
            events.push(bed.watch(&format!("{path}?watch=1&resourceVersion={start}")).await);
        }
        let created = bed.post(&view, minimal(kind)).await.created();
        let same = bed.get(&format!("{stored}/x")).await.ok();
        assert_eq!(metadata(&created), (rv(&same), text(&same, "/metadata/uid"), own.as_str()), "{kind:?}");
        assert_eq!(text(&same, "/apiVersion"), other, "{kind:?}");
        bed.post(&stored, minimal(kind.stored())).await.failed(409, "AlreadyExists");

        let patch = json!({ "metadata": { "labels": { "k": "v" } } });
        let patched = bed.patch(&format!("{stored}/x"), MERGE_PATCH, patch).await.ok();
        let seen = bed.get(&format!("{view}/x")).await.ok();
        assert_eq!((rv(&seen), &seen["metadata"]["labels"]), (rv(&patched), &json!({ "k": "v" })), "{kind:?}");
        // Sent back through either row as that row shows it, nothing changes.
        assert_eq!(bed.put(&format!("{view}/x"), seen.clone()).await.ok(), seen, "{kind:?}");
        assert_eq!(bed.put(&format!("{stored}/x"), patched.clone()).await.ok(), patched, "{kind:?}");
        let list = bed.get(&format!("{view}?labelSelector=k%3Dv")).await.ok();
        assert_eq!((&list["items"], text(&list, "/apiVersion")), (&json!([seen]), own.as_str()), "{kind:?}");

        bed.delete(&format!("{stored}/x")).await.ok();
        bed.get(&format!("{view}/x")).await.failed(404, "NotFound");
        let mut told = Vec::new();
        for (events, version) in events.iter_mut().zip([&own, &other]) {
            let mut all = Vec::new();
            for name in ["ADDED", "MODIFIED", "DELETED"] {
                let (event, object) = events.next().await;
                assert_eq!((event.as_str(), text(&object, "/apiVersion")), (name, version.as_str()), "{kind:?}");
                all.push(rv(&object));
            }
            told.push(all);
        }
        assert_eq!(told[0], told[1], "{kind:?}");
    }
}

#[tokio::test]
async fn every_form_of_an_answer_is_that_of_the_row() {
    let bed = Bed::start().await;
    for (kind, view, stored) in views() {
        bed.post(&stored, minimal(kind.stored())).await.created();
        let one = format!("{view}/x");
        let shown = bed.get(&one).await.ok();
        assert_eq!(text(&shown, "/apiVersion"), kind.api_version());

        let bytes = bed.send(Ask::new(Method::GET, &one).header(header::ACCEPT, PROTOBUF)).await.bytes;
        let wanted = (&*kind.api_version(), kind.kind);
        assert_eq!(protobuf::decode(&bytes, wanted).expect("protobuf")["apiVersion"], kind.api_version());
        let list = bed.send(Ask::new(Method::GET, &view).header(header::ACCEPT, PROTOBUF)).await.bytes;
        assert_eq!(list[..4], *b"k8s\0");

        let tables = |path: &str, more: &str| {
            Ask::new(Method::GET, &format!("{path}?includeObject=Object{more}")).header(header::ACCEPT, TABLE)
        };
        for path in [&one, &view] {
            let table = bed.send(tables(path, "")).await.ok();
            assert_eq!(table["rows"][0]["object"], shown, "{kind:?}");
        }
        let mut events = bed.watch_with(tables(&view, "&watch=1")).await;
        assert_eq!(events.next().await.1["rows"][0]["object"], shown, "{kind:?}");

        let gone = bed.delete_with(&view, json!({})).await.ok();
        assert_eq!((text(&gone, "/apiVersion"), &gone["items"]), (&*kind.api_version(), &json!([shown])), "{kind:?}");
    }
}

const V1: &str = "/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers";
const V2: &str = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers";

/// What `kubectl autoscale` of most versions posts, in protobuf.
#[tokio::test]
async fn an_autoscaler_is_made_in_v1_and_measured_in_v2() {
    let bed = Bed::start().await;
    let asked = json!({
        "apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler", "metadata": { "name": "a" },
        "spec": { "scaleTargetRef": { "kind": "Deployment", "name": "d", "apiVersion": "apps/v1" }, "maxReplicas": 5 },
    });
    let ask = Ask::new(Method::POST, V1).raw_body(protobuf::encode(&asked).unwrap());
    let created = bed.send(ask.header(header::CONTENT_TYPE, PROTOBUF)).await.created();
    assert_eq!(created["spec"]["targetCPUUtilizationPercentage"], 80);
    assert_eq!(created["spec"]["minReplicas"], 1);
    let mut stored = bed.get(&format!("{V2}/a")).await.ok();
    assert_eq!(text(&stored, "/spec/metrics/0/resource/target/type"), "Utilization");

    stored["status"] = json!({ "currentReplicas": 2, "desiredReplicas": 2, "currentMetrics": [
        { "type": "Resource", "resource": { "name": "cpu", "current": { "averageUtilization": 7 } } },
    ] });
    bed.put(&format!("{V2}/a/status"), stored).await.ok();
    for path in [V1, V2] {
        let table = bed.send(Ask::new(Method::GET, path).header(header::ACCEPT, TABLE)).await.ok();
        let mut cells = table["rows"][0]["cells"].clone();
        cells[6] = json!("now");
        assert_eq!(cells, json!(["a", "Deployment/d", "cpu: 7%/80%", "1", 5, 2, "now"]));
        assert_eq!(table["rows"][0]["object"]["metadata"].get("annotations"), None);
    }
    let patch = json!({ "spec": { "targetCPUUtilizationPercentage": 60 } });
    let patched = bed.patch(&format!("{V1}/a"), MERGE_PATCH, patch).await.ok();
    assert_eq!(patched["status"]["currentCPUUtilizationPercentage"], 7);
    let stored = bed.get(&format!("{V2}/a")).await.ok();
    assert_eq!(stored["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"], 60);
    assert!(stored["metadata"].get("annotations").is_none(), "{stored:#}");

    let wrong = json!({ "spec": { "maxReplicas": 0 } });
    let message = bed.patch(&format!("{V1}/a"), MERGE_PATCH, wrong).await.failed(422, "Invalid");
    assert!(message.starts_with("HorizontalPodAutoscaler.autoscaling \"a\" is invalid: "), "{message}");
}

#[tokio::test]
async fn an_event_of_the_new_group_is_strict_and_selected_by_its_own_fields() {
    let bed = Bed::start().await;
    let events = "/apis/events.k8s.io/v1/namespaces/default/events";
    let kind = KINDS.iter().find(|kind| kind.group == "events.k8s.io").expect("a served group");
    let mut event = minimal(kind);
    event["regarding"]["name"] = "p".into();
    event["note"] = "well done".into();
    bed.post(events, event.clone()).await.created();
    for (query, count) in [("regarding.name%3Dp,reportingController%3Dc", 1), ("regarding.name%3Dq", 0)] {
        let found = bed.get(&format!("{events}?fieldSelector={query}")).await.ok();
        assert_eq!(found["items"].as_array().map(Vec::len), Some(count), "{query}");
    }
    let found = bed.get("/api/v1/namespaces/default/events?fieldSelector=involvedObject.name%3Dp").await.ok();
    assert_eq!(text(&found, "/items/0/message"), "well done");
    bed.get(&format!("{events}?fieldSelector=involvedObject.name%3Dp")).await.failed(400, "BadRequest");

    event["metadata"]["name"] = "other".into();
    event["deprecatedCount"] = 1.into();
    let message = bed.post(events, event.clone()).await.failed(422, "Invalid");
    assert_eq!(message, "Event.events.k8s.io \"other\" is invalid: count: Invalid value: \"\": needs to be unset");
    event["note"] = "changed".into();
    event["metadata"]["name"] = "x".into();
    event["deprecatedCount"] = Value::Null;
    let message = bed.put(&format!("{events}/x"), event).await.failed(422, "Invalid");
    assert!(message.ends_with("message: Invalid value: \"changed\": field is immutable"), "{message}");
}
