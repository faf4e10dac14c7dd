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
