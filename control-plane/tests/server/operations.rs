//! What an operator and a client see of the real program: protocols, metrics, the log.

use bytes::Bytes;
use http::{HeaderMap, Request, Version};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client, api::PostParams};
use serde_json::{Value, json};

use crate::bed::{Etcd, Server};

/// What `GET /version` gives to a client that speaks one protocol.
async fn version(server: &Server, protocols: &[&str], speaks: Version) -> (Version, HeaderMap, Value) {
    let stream = TokioIo::new(server.stream(protocols).await);
    let request = Request::get("https://localhost/version").header("host", "localhost");
    let request = request.body(Full::<Bytes>::default()).unwrap();
    let answer = if speaks == Version::HTTP_2 {
        let (mut calls, connection) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
        tokio::spawn(connection);
        calls.send_request(request).await
    } else {
        let (mut calls, connection) = http1::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        calls.send_request(request).await
    };
    let (head, body) = answer.unwrap().into_parts();
    let body = serde_json::from_slice(&body.collect().await.unwrap().to_bytes()).unwrap();
    (head.version, head.headers, body)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_of_http1_and_http2_are_served_whether_they_negotiate_or_not() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &[]);
    let cases: [(&[&str], Version); 4] = [
        (&["h2"], Version::HTTP_2),
        (&["http/1.1"], Version::HTTP_11),
        (&[], Version::HTTP_2),
        (&[], Version::HTTP_11),
    ];
    for (protocols, speaks) in cases {
        let (spoken, headers, body) = version(&server, protocols, speaks).await;
        assert_eq!((spoken, body["minor"].as_str()), (speaks, Some("33")), "{protocols:?}");
        assert_eq!(headers["cache-control"], "no-cache, private");
        assert_eq!(headers["audit-id"].len(), 36);
    }
    // Of several the server chooses the newer one.
    let stream = server.stream(&["http/1.1", "h2"]).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
}

async fn metrics(client: &Client) -> String {
    client.request_text(Request::get("/metrics").body(Vec::new()).unwrap()).await.unwrap()
}

/// The number of a sample that begins so; 0 when there is none.
fn sample(text: &str, begin: &str) -> f64 {
    let line = text.lines().find(|line| line.starts_with(begin));
    line.map_or(0.0, |line| line.rsplit_once(' ').unwrap().1.parse().unwrap())
}

async fn metrics_tell_of_the_whole_server(more: &[&str]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), more);
    let client = server.client().await;
    let map: ConfigMap = serde_json::from_value(json!({ "metadata": { "name": "a" } })).unwrap();
    let maps = Api::<ConfigMap>::default_namespaced(client.clone());
    maps.create(&PostParams::default(), &map).await.unwrap();
    server.says("caches complete, controller starts controller=\"deployment\"").await;
    let text = metrics(&client).await;
    for begin in [
        "etcd_request_duration_seconds_count{operation=\"create\",type=\"configmaps\"}",
        "apiserver_storage_objects{resource=\"namespaces\"}",
        "apiserver_watch_cache_events_received_total{resource=\"configmaps\"}",
        "apiserver_longrunning_requests{component=\"apiserver\",group=\"\",resource=\"pods\"",
        "rest_client_requests_total{code=\"201\",host=\"in-process\",method=\"POST\"}",
        "workqueue_adds_total{name=\"namespace\"}",
        "process_cpu_seconds_total",
        "process_start_time_seconds",
        "kubernetes_build_info{",
    ] {
        assert!(sample(&text, begin) > 0.0, "no {begin} in:\n{text}");
    }
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_of_a_server_with_its_own_store_tell_of_all_its_parts() {
    let text = metrics_tell_of_the_whole_server(&[]).await;
    // It stands in no election.
    assert!(!text.contains("leader_election_master_status"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_of_a_server_on_etcd_tell_who_leads() {
    let dir = tempfile::tempdir().unwrap();
    let etcd = Etcd::start(dir.path());
    let text = metrics_tell_of_the_whole_server(&["--store", "etcd", "--etcd-endpoints", &etcd.url]).await;
    assert_eq!(sample(&text, "leader_election_master_status{name=\"nodeplane-controllers\"}"), 1.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_has_a_line_for_every_call_that_machines_can_read() {
    let dir = tempfile::tempdir().unwrap();
    let flags = ["--log-format", "json", "--log", "info,nodeplane_control_plane::http=debug"];
    let server = Server::start(dir.path(), &flags);
    let request = Request::get("/api/v1/namespaces?limit=7&fieldSelector=metadata.name%3Dx");
    let request = request.header("user-agent", "curious/1").header("audit-id", "one-of-mine");
    server.client().await.request_text(request.body(Vec::new()).unwrap()).await.unwrap();
    server.says("one-of-mine").await;
    let log = server.log();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let line = lines.iter().find(|line| line["audit-ID"] == "one-of-mine").unwrap();
    assert_eq!((&line["level"], &line["message"]), (&json!("DEBUG"), &json!("HTTP")));
    assert_eq!((&line["verb"], &line["resp"]), (&json!("LIST"), &json!(200)));
    assert_eq!(line["URI"], "/api/v1/namespaces?limit=7&fieldSelector=metadata.name%3Dx");
    assert_eq!(line["userAgent"], "curious/1");
    assert!(line["srcIP"].as_str().unwrap().starts_with("127.0.0.1:"), "{line}");
    assert!(line["latency"].is_string() && line["target"].is_string() && line["timestamp"].is_string(), "{line}");
}
