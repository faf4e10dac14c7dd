//! What cannot be right: refused with the right code and word, and nothing of it is stored.

use http::{Method, header};
use serde_json::{Value, json};

use super::bed::{
    Ask, Bed, CONFIG_MAPS, DEPLOYMENTS, JSON_PATCH, MERGE_PATCH, PODS, STRATEGIC, config_map, deployment, pod,
};

const JSON: &str = "application/json";
const YAML: &str = "application/yaml";
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

/// A body, what it claims to be, and how it is refused: code, reason, and words of the message.
type Case<'a> = (&'a str, &'a [u8], u16, &'a str, &'a str);

/// Sends each body, and looks whether anything came of it.
async fn refused(bed: &Bed, method: &Method, path: &str, cases: &[Case<'_>]) {
    let before = bed.store.revision().await.unwrap();
    for (media_type, body, code, reason, words) in cases {
        let ask = Ask::new(method.clone(), path).raw_body(body.to_vec()).header(header::CONTENT_TYPE, media_type);
        let answer = bed.send(ask).await;
        let shown: String = body.iter().take(60).copied().map(char::from).collect();
        assert_eq!((answer.code, answer.body["reason"].as_str()), (*code, Some(*reason)), "{shown}: {}", answer.text);
        let message = answer.failed(*code, reason);
        assert!(message.contains(words), "{shown}: {message}");
        assert!(message.len() < 4096, "{shown}: {} bytes", message.len());
    }
    assert_eq!(bed.store.revision().await.unwrap(), before, "something was stored");
}

fn deep(open: &str, depth: usize) -> Vec<u8> {
    open.repeat(depth).into_bytes()
}

const BAD: (u16, &str) = (400, "BadRequest");

fn bad<'a>(media_type: &'a str, body: &'a [u8], words: &'a str) -> Case<'a> {
    (media_type, body, BAD.0, BAD.1, words)
}

#[tokio::test]
async fn bodies_that_are_no_documents() {
    let bed = Bed::start().await;
    let (arrays, objects, yaml) = (deep("[", 100_000), deep("{\"a\":", 100_000), deep("[", 20_000));
    let indented: Vec<u8> = (0..2000).flat_map(|depth| format!("{}a:\n", " ".repeat(depth)).into_bytes()).collect();
    refused(
        &bed,
        &Method::POST,
        CONFIG_MAPS,
        &[
            bad(JSON, b"", "<empty>"),
            bad(JSON, b"null", "the body is not an object"),
            bad(JSON, b"\"text\"", "the body is not an object"),
            bad(JSON, b"{\"metadata\":{\"name\":\"a\"}", "EOF"),
            bad(JSON, b"{\"metadata\":{\"name\":\"a\"}}{}", "trailing characters"),
            bad(JSON, b"{\"metadata\":{\"name\":\"a\"},}", "json parse error"),
            bad(JSON, b"{'metadata':{}}", "json parse error"),
            bad(JSON, b"{\"metadata\":{\"name\":\"a\xff\"}}", "json parse error"),
            bad(JSON, b"\xef\xbb\xbf{\"metadata\":{\"name\":\"a\"}}", "json parse error"),
            bad(JSON, b"{\"metadata\":{\"name\":\"a\n\"}}", "json parse error"),
            bad(JSON, b"{\"data\":{\"a\":1e999}}", "number out of range"),
            bad(JSON, &arrays, "recursion limit exceeded"),
            bad(JSON, &objects, "recursion limit exceeded"),
            bad(YAML, b"a: [", "json parse error"),
            bad(YAML, b"a: 1\na: 2\n", "duplicate"),
            bad(YAML, b"- a\n", "the body is not an object"),
            bad(YAML, b"a: \xff\n", "json parse error"),
            bad(YAML, b"a: b: c\n", "json parse error"),
            bad(YAML, b"metadata: *nothing\n", "json parse error"),
            bad(YAML, b"metadata: {name: a}\n---\nmetadata: {name: b}\n", "json parse error"),
            bad(YAML, &yaml, "json parse error"),
            bad(YAML, &indented, "json parse error"),
            bad(PROTOBUF, b"", "does not start with"),
            bad(PROTOBUF, b"k8s", "does not start with"),
            bad(PROTOBUF, b"k8s\0\x12", "the object provided is unrecognized"),
            bad(PROTOBUF, b"k8s\0\x12\xff\xff\xff\xff\xff\xff\xff\xff\x7f", "the object provided is unrecognized"),
            bad(
                PROTOBUF,
                b"k8s\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
                "the object provided is unrecognized",
            ),
            bad(PROTOBUF, b"k8s\0\x0a\x05\x0a\x03\xff\xfe\xfd", "the object provided is unrecognized"),
        ],
    )
    .await;
    let unknown = Ask::new(Method::POST, CONFIG_MAPS).raw_body("{}").header(header::CONTENT_TYPE, "text/xml");
    let message = bed.send(unknown).await.failed(415, "UnsupportedMediaType");
    assert!(message.contains("accepted media types include: application/json, application/yaml"), "{message}");
}

#[tokio::test]
async fn documents_that_are_no_such_objects() {
    let bed = Bed::start().await;
    let deep_value = format!("{{\"metadata\":{{\"name\":\"a\"}},\"x\":{}{}}}", "[".repeat(100), "]".repeat(100));
    refused(
        &bed,
        &Method::POST,
        &format!("{PODS}?fieldValidation=Strict"),
        &[
            bad(JSON, b"{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\"}", "unknown conversion"),
            bad(JSON, b"{\"apiVersion\":\"v1\",\"kind\":\"PodList\",\"items\":[]}", "PodList"),
            bad(JSON, b"{\"apiVersion\":\"apps/v1\",\"kind\":\"Pod\"}", "apps/v1"),
            bad(JSON, b"{\"metadata\":[]}", "cannot unmarshal array"),
            bad(JSON, b"{\"metadata\":{\"labels\":{\"a\":1}}}", "cannot unmarshal number"),
            bad(JSON, b"{\"metadata\":{\"name\":\"a\",\"creationTimestamp\":\"yesterday\"}}", ""),
            bad(JSON, b"{\"spec\":{\"containers\":{}}}", "cannot unmarshal object"),
            bad(JSON, b"{\"spec\":{\"terminationGracePeriodSeconds\":1.5}}", "cannot unmarshal number"),
            bad(
                JSON,
                b"{\"spec\":{\"terminationGracePeriodSeconds\":99999999999999999999}}",
                "cannot unmarshal number",
            ),
            bad(
                JSON,
                b"{\"spec\":{\"containers\":[{\"resources\":{\"limits\":{\"cpu\":\"lots\"}}}]}}",
                "quantities must match",
            ),
            bad(
                JSON,
                b"{\"metadata\":{\"name\":\"a\"},\"spec\":{\"containers\":[],\"x\":1}}",
                "unknown field \"spec.x\"",
            ),
            bad(JSON, b"{\"metadata\":{\"name\":\"a\",\"name\":\"b\"}}", "duplicate field \"metadata.name\""),
            bad(JSON, deep_value.as_bytes(), "unknown field \"x\""),
            bad(YAML, b"spec:\n  hostNetwork: \"yes\"\n", "cannot unmarshal string"),
        ],
    )
    .await;
    let mut other = pod("a");
    other["metadata"]["namespace"] = json!("elsewhere");
    refused(
        &bed,
        &Method::POST,
        PODS,
        &[
            bad(JSON, other.to_string().as_bytes(), "does not match the namespace"),
            (JSON, b"{\"metadata\":{\"name\":\"a\"},\"spec\":{}}", 422, "Invalid", "spec.containers: Required value"),
            (JSON, b"{\"metadata\":{\"name\":\"../a\"},\"spec\":{}}", 422, "Invalid", "metadata.name: Invalid value"),
        ],
    )
    .await;
}

#[tokio::test]
async fn patches_that_are_none() {
    let bed = Bed::start().await;
    bed.post(DEPLOYMENTS, deployment("web")).await.created();
    let path = format!("{DEPLOYMENTS}/web");
    let deep = format!("{{\"spec\":{}", "{\"a\":".repeat(10_000));
    let invalid = (422, "Invalid");
    let unprocessable = |body: &'static [u8], words| (JSON_PATCH, body, invalid.0, invalid.1, words);
    refused(
        &bed,
        &Method::PATCH,
        &path,
        &[
            bad(JSON_PATCH, b"", ""),
            bad(JSON_PATCH, b"{}", ""),
            bad(JSON_PATCH, b"[{\"op\":\"add\"}]", ""),
            bad(JSON_PATCH, b"[5]", ""),
            bad(JSON_PATCH, b"[{\"op\":\"dance\",\"path\":\"/spec\"}]", ""),
            unprocessable(b"[{\"op\":\"remove\",\"path\":\"/spec/nothing\"}]", ""),
            unprocessable(b"[{\"op\":\"replace\",\"path\":\"/spec/template/spec/containers/7\",\"value\":{}}]", ""),
            unprocessable(b"[{\"op\":\"test\",\"path\":\"/kind\",\"value\":\"Pod\"}]", ""),
            unprocessable(b"[{\"op\":\"replace\",\"path\":\"\",\"value\":5}]", ""),
            unprocessable(
                b"[{\"op\":\"replace\",\"path\":\"/spec/replicas\",\"value\":\"many\"}]",
                "cannot unmarshal string",
            ),
            bad(MERGE_PATCH, b"[]", ""),
            bad(MERGE_PATCH, b"null", ""),
            bad(MERGE_PATCH, b"{\"spec\":", ""),
            bad(MERGE_PATCH, b"{\"metadata\":{\"name\":\"\xff\"}}", ""),
            bad(MERGE_PATCH, deep.as_bytes(), ""),
            (MERGE_PATCH, b"{\"spec\":{\"template\":5}}", 422, "Invalid", "cannot unmarshal number"),
            (MERGE_PATCH, b"{\"spec\":null}", 422, "Invalid", "Required value"),
            bad(STRATEGIC, b"[]", ""),
            bad(STRATEGIC, b"nonsense", ""),
            bad(STRATEGIC, deep.as_bytes(), ""),
            (
                STRATEGIC,
                b"{\"metadata\":{\"resourceVersion\":\"1\"},\"spec\":{\"replicas\":3}}",
                409,
                "Conflict",
                "has been modified",
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn changes_and_deletions_that_cannot_be() {
    let bed = Bed::start().await;
    let made = bed.post(CONFIG_MAPS, config_map("a")).await.created();
    let path = format!("{CONFIG_MAPS}/a");
    let with = |field: &str, value: Value| {
        let mut map = made.clone();
        map["metadata"][field] = value;
        map.to_string()
    };
    let (stale, odd, other) =
        (with("resourceVersion", json!("1")), with("resourceVersion", json!("new")), with("uid", json!("x")));
    refused(
        &bed,
        &Method::PUT,
        &path,
        &[
            (JSON, stale.as_bytes(), 409, "Conflict", "the object has been modified"),
            bad(JSON, odd.as_bytes(), "invalid resource version"),
            (JSON, other.as_bytes(), 409, "Conflict", "UID in precondition: x"),
            bad(JSON, b"{\"metadata\":{\"name\":\"b\"}}", "does not match the name on the URL"),
            bad(JSON, b"[]", "must be of type ConfigMap"),
        ],
    )
    .await;
    refused(
        &bed,
        &Method::DELETE,
        &path,
        &[
            bad(JSON, b"{\"gracePeriodSeconds\":", ""),
            bad(JSON, b"{\"gracePeriodSeconds\":\"soon\"}", "cannot be handled as a DeleteOptions"),
            bad(JSON, b"\xff", ""),
            (JSON, b"{\"propagationPolicy\":\"Sideways\"}", 422, "Invalid", "Unsupported value: \"Sideways\""),
            (JSON, b"{\"preconditions\":{\"uid\":\"x\"}}", 409, "Conflict", "the UID in the precondition (x)"),
        ],
    )
    .await;
    assert_eq!(bed.get(&path).await.ok(), made);
}

#[tokio::test]
async fn selectors_and_parameters_that_mean_nothing() {
    let bed = Bed::start().await;
    let long = format!("labelSelector={}", "a".repeat(100_000));
    let nested = format!("labelSelector={}", "a in (".repeat(5000));
    for query in [
        "labelSelector=a%3D%3D%3D",
        "labelSelector=%2C%2C",
        "labelSelector=a%20in",
        "labelSelector=a%20in%20b",
        "labelSelector=a%3E1%3C2",
        "labelSelector=a%3Ex",
        "labelSelector=%FF%FE",
        "labelSelector=-a",
        "labelSelector=a%2Fb%2Fc",
        "fieldSelector=metadata.name",
        "fieldSelector=spec.nothing%3D1",
        "fieldSelector=a%5C",
        "limit=1e3",
        "limit=99999999999999999999",
        "continue=%00",
        "continue=e30",
        "resourceVersion=-1",
        "resourceVersion=99999999999999999999",
        "watch=true&timeoutSeconds=soon",
        &long,
        &nested,
    ] {
        let answer = bed.get(&format!("{PODS}?{query}")).await;
        let message = answer.failed(400, "BadRequest");
        assert!(!message.is_empty() && message.len() < 300_000, "{query}: {message}");
    }
}

/// The largest body that is read still makes an object that the store does not take.
#[tokio::test]
async fn what_the_store_finds_too_large_is_told_in_its_words() {
    let bed = Bed::start().await;
    let mut large = pod("a");
    let env: Vec<_> = (0..20).map(|n| json!({ "name": format!("V{n}"), "value": "x".repeat(100_000) })).collect();
    large["spec"]["containers"][0]["env"] = json!(env);
    let before = bed.store.revision().await.unwrap();
    let answer = bed.post(PODS, large).await;
    assert_eq!((answer.code, answer.body.get("reason")), (500, None), "{}", answer.text);
    assert_eq!(answer.body["message"], "etcdserver: request is too large");
    assert_eq!(bed.store.revision().await.unwrap(), before);
}

/// Events go by themselves, in both of their groups; other objects do not.
#[tokio::test]
async fn events_have_a_life() {
    let bed = Bed::start().await;
    bed.post(CONFIG_MAPS, config_map("a")).await.created();
    let about = json!({ "kind": "Pod", "name": "p", "namespace": "default" });
    let event = json!({ "metadata": { "name": "old" }, "involvedObject": about, "reason": "R", "type": "Normal" });
    bed.post("/api/v1/namespaces/default/events", event).await.created();
    let event = json!({ "metadata": { "name": "new" }, "regarding": about, "reason": "R", "type": "Normal", "action": "A",
        "eventTime": "2024-05-01T10:00:00.000000Z", "reportingController": "example.com/c", "reportingInstance": "i" });
    bed.post("/apis/events.k8s.io/v1/namespaces/default/events", event).await.created();
    let mortal = bed.store.mortal("/").await.unwrap();
    let names: Vec<_> = mortal.iter().map(|(key, _)| key.rsplit('/').next().unwrap()).collect();
    assert_eq!(names, ["new", "old"]);
    assert!(mortal.iter().all(|(_, left)| (3590..=3662).contains(&left.as_secs())), "{mortal:?}");
    // A change begins the hour anew; it does not end it.
    let path = "/api/v1/namespaces/default/events/old";
    bed.patch(path, MERGE_PATCH, json!({ "count": 2 })).await.ok();
    assert_eq!(bed.store.mortal("/").await.unwrap().len(), 2);
}
