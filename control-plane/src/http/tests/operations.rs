//! What operators rely on: metrics, limits, deadlines, an orderly end, short answers.

use std::{future::ready, io::Read, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Method, header};
use nodeplane_api::status::Status;
use serde_json::json;

use super::bed::{Answer, Ask, Bed, CONFIG_MAPS, config_map};
use crate::{
    http::{account::AUDIT_ID, authn::Caller, bounds::Bounds, call::Call},
    metrics::tests::sample,
};

/// What somebody outside who shows nothing gets.
async fn from_outside(bed: &Bed, call: Call) -> Answer {
    Answer::of(bed.api.answer(None, call, ready(Ok(Bytes::new()))).await)
}

fn get(path: &str) -> Call {
    Ask::new(Method::GET, path).0
}

async fn as_caller(bed: &Bed, caller: Caller, path: &str) -> Answer {
    Answer::of(bed.reply(caller, Ask::new(Method::GET, path)).await)
}

#[tokio::test]
async fn metrics_tell_of_calls_of_objects_of_the_store_and_of_the_program() {
    let bed = Bed::start().await;
    for name in ["a", "b"] {
        bed.post(CONFIG_MAPS, config_map(name)).await.created();
    }
    let count = |text: &str| {
        let labels = "code=\"201\",component=\"apiserver\",dry_run=\"\",group=\"\",resource=\"configmaps\",\
                      scope=\"resource\",subresource=\"\",verb=\"POST\",version=\"v1\"";
        sample(text, &format!("apiserver_request_total{{{labels}}}"))
    };
    let answer = bed.get("/metrics").await;
    assert_eq!(answer.headers[header::CONTENT_TYPE], "text/plain; version=0.0.4; charset=utf-8");
    // Other tests count in the same process.
    assert!(count(&answer.text) >= 2.0);
    // The cache hears of an object a little later.
    let mut text = answer.text;
    for _ in 0..500 {
        if sample(&text, "apiserver_storage_objects{resource=\"configmaps\"}") == 2.0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
        text = bed.get("/metrics").await.text;
    }
    assert_eq!(sample(&text, "apiserver_storage_objects{resource=\"configmaps\"}"), 2.0);
    for name in [
        "apiserver_watch_cache_events_received_total{resource=\"configmaps\"} ",
        "apiserver_current_inflight_requests{request_kind=\"mutating\"} ",
        "kubernetes_build_info{",
        "process_resident_memory_bytes ",
        "# TYPE apiserver_request_duration_seconds histogram",
        "# TYPE apiserver_watch_events_total counter",
        "# TYPE etcd_request_duration_seconds histogram",
        "# TYPE workqueue_depth gauge",
        "# TYPE scheduler_schedule_attempts_total counter",
        "# TYPE rest_client_requests_total counter",
    ] {
        assert!(text.lines().any(|line| line.starts_with(name)), "no {name}");
    }
}

#[tokio::test]
async fn the_text_of_metrics_has_each_metric_once_with_its_type_before_its_samples() {
    let bed = Bed::start().await;
    let text = bed.get("/metrics").await.text;
    let (mut seen, mut current) = (Vec::new(), "");
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            current = rest.split(' ').next().unwrap();
            assert!(!seen.contains(&current), "{current} comes twice");
            seen.push(current);
        } else if !line.starts_with('#') {
            let name = line.split(['{', ' ']).next().unwrap();
            let rest = name.strip_prefix(current).unwrap_or_else(|| panic!("{name} comes below {current}"));
            assert!(["", "_bucket", "_sum", "_count"].contains(&rest), "{line}");
            assert!(line.rsplit_once(' ').unwrap().1.parse::<f64>().is_ok(), "{line}");
        }
    }
    assert!(seen.len() > 20);
}

#[tokio::test]
async fn metrics_are_for_administrators_and_those_who_watch_over_the_cluster() {
    let bed = Bed::start().await;
    let groups = |group: &str| vec![group.to_owned(), "system:authenticated".to_owned()];
    let watcher = Caller::named("prometheus", groups("system:monitoring"));
    for path in ["/metrics", "/readyz/ping"] {
        assert_eq!(as_caller(&bed, watcher.clone(), path).await.code, 200, "{path}");
        assert_eq!(bed.get(path).await.code, 200, "{path}");
        from_outside(&bed, get(path)).await.failed(401, "Unauthorized");
    }
    // However the path is written.
    for path in ["/metrics", "/metrics/", "//metrics", "/%6detrics", "/livez/etcd", "/livez//etcd"] {
        let somebody = Caller::named("jane", groups("others"));
        let words = as_caller(&bed, somebody, path).await.failed(403, "Forbidden");
        assert!(words.starts_with("forbidden: User \"jane\" cannot get path \"/"), "{words}");
    }
    // Whether the server is well is no secret, however one asks.
    for path in ["/livez", "/readyz?verbose", "//healthz/", "/version/"] {
        assert_eq!(from_outside(&bed, get(path)).await.code, 200, "{path}");
    }
}

#[tokio::test]
async fn when_all_places_are_taken_others_are_told_to_come_again() {
    let mut bed = Bed::start().await;
    bed.limit(Bounds { reading: 1, writing: 1, ..Bounds::default() });
    let node = || Caller::named("system:node:n1", vec!["system:nodes".to_owned(), "system:authenticated".to_owned()]);
    // A client that is slow to send its body keeps its place.
    let (certificate, slow) =
        (bed.certificate("system:node:n1", &["system:nodes"]), Ask::new(Method::POST, "/api/v1/nodes").0);
    let mut held = std::pin::pin!(bed.api.answer(Some(&certificate), slow, std::future::pending()));
    for _ in 0..100 {
        assert!(futures::poll!(&mut held).is_pending());
    }
    let refused = Answer::of(bed.reply(node(), Ask::new(Method::POST, "/api/v1/nodes").body(&json!({}))).await);
    assert_eq!(refused.headers[header::RETRY_AFTER], "1");
    assert_eq!(refused.failed(429, "TooManyRequests"), "Too many requests, please try again later.");
    // Those who read have places of their own, watches need none, and administrators always have one.
    assert_eq!(as_caller(&bed, node(), "/api/v1/services").await.code, 200);
    let watches: Vec<_> =
        [bed.watch("/api/v1/services?watch=1").await, bed.watch("/api/v1/services?watch=1").await].into();
    assert_eq!(as_caller(&bed, node(), "/api/v1/services").await.code, 200);
    bed.post(CONFIG_MAPS, config_map("a")).await.created();
    drop(watches);
}

#[tokio::test]
async fn a_call_that_takes_longer_than_its_client_waits_is_given_up() {
    let bed = Bed::start().await;
    let certificate = bed.certificate("jane", &["system:masters"]);
    let call = Ask::new(Method::POST, &format!("{CONFIG_MAPS}?timeout=20ms")).0;
    let reply = bed.api.answer(Some(&certificate), call, std::future::pending::<Result<Bytes, Status>>()).await;
    let words = Answer::of(reply).failed(504, "Timeout");
    assert_eq!(words, "Timeout: request did not complete within requested timeout - context deadline exceeded");
    let words = bed.get(&format!("{CONFIG_MAPS}?timeout=1")).await.failed(400, "BadRequest");
    assert_eq!(words, "invalid timeout specified in the request URL - time: missing unit in duration \"1\"");
    // It means nothing to a watch.
    drop(bed.watch(&format!("{CONFIG_MAPS}?watch=1&timeout=1")).await);
}

#[tokio::test]
async fn a_server_that_has_ended_sends_calls_from_outside_elsewhere() {
    let bed = Bed::start().await;
    bed.api.stop.cancel();
    let refused = from_outside(&bed, get(CONFIG_MAPS)).await;
    assert_eq!(refused.headers[header::RETRY_AFTER], "1");
    assert_eq!(refused.failed(503, "ServiceUnavailable"), "apiserver is shutting down");
    assert_eq!(from_outside(&bed, get("/livez")).await.text, "ok");
    // Whoever is part of the process finishes what it does.
    bed.post(CONFIG_MAPS, config_map("last")).await.created();
}

#[tokio::test]
async fn an_answer_from_outside_has_an_audit_id() {
    let bed = Bed::start().await;
    let made = from_outside(&bed, get("/version")).await;
    assert_eq!(made.headers[AUDIT_ID].to_str().unwrap().len(), 36);
    let mut call = get("/no/such/path");
    call.headers.insert(AUDIT_ID, HeaderValue::from_static("mine"));
    assert_eq!(from_outside(&bed, call).await.headers[AUDIT_ID], "mine");
}

#[tokio::test]
async fn a_long_list_is_compressed_for_those_who_read_gzip_and_a_watch_never_is() {
    let bed = Bed::start().await;
    let certificate = bed.certificate("jane", &["system:masters"]);
    let long = json!({ "metadata": { "name": "long" }, "data": { "a": "x".repeat(200 * 1024) } });
    bed.post(CONFIG_MAPS, long).await.created();
    let ask = async |path: &str| {
        let call = Ask::new(Method::GET, path).header(header::ACCEPT_ENCODING, "gzip").0;
        bed.api.answer(Some(&certificate), call, ready(Ok(Bytes::new()))).await
    };
    let plain = bed.get(CONFIG_MAPS).await;
    assert!(plain.text.len() > 128 * 1024 && !plain.headers.contains_key(header::CONTENT_ENCODING));
    let short = Answer::of(ask(CONFIG_MAPS).await);
    assert_eq!(
        (&short.headers[header::CONTENT_ENCODING], &short.headers[header::VARY]),
        (&HeaderValue::from_static("gzip"), &HeaderValue::from_static("Accept-Encoding"))
    );
    let mut text = String::new();
    flate2::read::GzDecoder::new(&*short.bytes).read_to_string(&mut text).unwrap();
    assert_eq!(text, plain.text);
    let watch = ask(&format!("{CONFIG_MAPS}?watch=1")).await;
    assert!(!watch.headers.contains_key(header::CONTENT_ENCODING));
    assert!(!Answer::of(ask("/version").await).headers.contains_key(header::CONTENT_ENCODING));
}
