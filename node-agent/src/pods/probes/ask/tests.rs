//! Probes against servers on loopback.

use std::{
    convert::Infallible,
    future::Future,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures::StreamExt;
use http_body_util::{Full, StreamBody};
use hyper::{HeaderMap, Request, Response, body::Frame, body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use k8s_openapi::api::core::v1::{Container, Probe};
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

use super::{Answer, Unwell, probe};
use crate::pods::runtime::{ExecResult, RuntimeError, fake::FakeRuntime};

async fn ask(definition: Value) -> Answer {
    ask_with(&FakeRuntime::default(), definition).await
}

async fn ask_with(runtime: &FakeRuntime, definition: Value) -> Answer {
    let definition: Probe = serde_json::from_value(definition).expect("a probe");
    let container: Container =
        serde_json::from_value(json!({ "name": "app", "ports": [{ "name": "none", "containerPort": 1 }] }))
            .expect("a container");
    probe(&definition, runtime, "id", &container, Some(Ipv4Addr::LOCALHOST), Duration::from_secs(10)).await
}

fn failed(words: impl Into<String>) -> Answer {
    Err(Unwell::Failed(words.into()))
}

async fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a listener");
    let port = listener.local_addr().expect("an address").port();
    (listener, port)
}

/// A port where nobody listens.
async fn closed_port() -> u16 {
    listen().await.1
}

async fn serve<S, F, Fut, B>(stream: S, answer: F)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Fn(Request<Incoming>) -> Fut + Send + 'static,
    Fut: Future<Output = Response<B>> + Send + 'static,
    B: hyper::body::Body<Data = Bytes, Error = Infallible> + Send + 'static,
{
    let service = service_fn(move |request| {
        let answered = answer(request);
        async move { Ok::<_, Infallible>(answered.await) }
    });
    // A client that leaves is no fault.
    let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
}

/// What a web server of many paths says.
async fn web(request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (code, location) = match request.uri().path() {
        "/ok" => (200, None),
        "/hop" => (302, Some("/ok")),
        "/hop-to-bad" => (302, Some("/bad")),
        "/away" => (302, Some("http://192.0.2.9/bad")),
        "/round" => (302, Some("/round")),
        "/agent" if request.headers()["user-agent"] == "kube-probe/1.33" => (200, None),
        "/header" if request.headers().get("x-test").is_some_and(|value| value == "yes") => (200, None),
        _ => (500, None),
    };
    let mut answer = Response::builder().status(code);
    if let Some(location) = location {
        answer = answer.header("location", location);
    }
    answer.body(Full::default()).expect("an answer")
}

async fn start_web() -> u16 {
    let (listener, port) = listen().await;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, web));
        }
    });
    port
}

#[tokio::test]
async fn commands_are_judged_by_their_end() {
    let runtime = FakeRuntime::default();
    let sick = ExecResult { code: 1, output: "sick".to_owned() };
    runtime.state().commands.insert("sick".to_owned(), sick);
    assert_eq!(ask_with(&runtime, json!({ "exec": { "command": ["well"] } })).await, Ok(()));
    assert_eq!(ask_with(&runtime, json!({ "exec": { "command": ["sick"] } })).await, failed("sick"));
    runtime.fail("exec", RuntimeError::TimedOut("command timed out after 1s".to_owned()));
    let late = ask_with(&runtime, json!({ "exec": { "command": ["late"] } })).await;
    assert_eq!(late, failed("command timed out after 1s"));
    runtime.go_down();
    let away = ask_with(&runtime, json!({ "exec": { "command": ["well"] } })).await;
    assert!(matches!(away, Err(Unwell::Errored(_))), "an engine that is away says nothing of the container: {away:?}");
}

#[tokio::test]
async fn connections_are_taken_or_refused() {
    let (_listener, port) = listen().await;
    assert_eq!(ask(json!({ "tcpSocket": { "port": port } })).await, Ok(()));
    let port = closed_port().await;
    let refused = format!("dial tcp 127.0.0.1:{port}: connect: connection refused");
    assert_eq!(ask(json!({ "tcpSocket": { "port": port } })).await, failed(refused));
    let unnamed = ask(json!({ "tcpSocket": { "port": "web" } })).await;
    assert_eq!(unnamed, Err(Unwell::Errored("couldn't find port: web in container app".to_owned())));
}

#[tokio::test]
async fn answers_by_http_are_judged_by_their_code() {
    let port = start_web().await;
    let get = |path: &str| ask(json!({ "httpGet": { "path": path, "port": port } }));
    for path in ["/ok", "ok", "/hop", "/away", "/agent"] {
        assert_eq!(get(path).await, Ok(()), "{path}");
    }
    for path in ["/bad", "/hop-to-bad", "/header"] {
        assert_eq!(get(path).await, failed("HTTP probe failed with statuscode: 500"), "{path}");
    }
    let round = format!("Get \"http://127.0.0.1:{port}/round\": stopped after 10 redirects");
    assert_eq!(get("/round").await, failed(round));
    let headers = json!([{ "name": "X-Test", "value": "yes" }]);
    assert_eq!(ask(json!({ "httpGet": { "path": "/header", "port": port, "httpHeaders": headers } })).await, Ok(()));
    let closed = closed_port().await;
    let refused =
        format!("Get \"http://127.0.0.1:{closed}/\": dial tcp 127.0.0.1:{closed}: connect: connection refused");
    assert_eq!(ask(json!({ "httpGet": { "port": closed } })).await, failed(refused));
}

#[tokio::test]
async fn certificates_are_not_looked_at() {
    let issued = rcgen::generate_simple_self_signed(["somebody.else".to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(issued.signing_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![issued.cert.der().clone()], key)
        .expect("a configuration");
    let (listener, port) = listen().await;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(stream) = acceptor.accept(stream).await {
                tokio::spawn(serve(stream, web));
            }
        }
    });
    let get = |path: &str| ask(json!({ "httpGet": { "path": path, "port": port, "scheme": "HTTPS" } }));
    assert_eq!(get("/ok").await, Ok(()));
    assert_eq!(get("/bad").await, failed("HTTP probe failed with statuscode: 500"));
    let plain = start_web().await;
    let mismatch = ask(json!({ "httpGet": { "path": "/ok", "port": plain, "scheme": "HTTPS" } })).await;
    assert!(matches!(mismatch, Err(Unwell::Failed(_))), "{mismatch:?}");
}

/// A health server that answers with this message, or refuses with this code.
async fn start_health(answer: Result<&'static [u8], &'static str>) -> SocketAddr {
    let (listener, port) = listen().await;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, move |request| health(request, answer)));
        }
    });
    (Ipv4Addr::LOCALHOST, port).into()
}

async fn health(
    request: Request<Incoming>,
    answer: Result<&'static [u8], &'static str>,
) -> Response<StreamBody<futures::stream::Iter<std::vec::IntoIter<Result<Frame<Bytes>, Infallible>>>>> {
    assert_eq!(request.uri().path(), "/grpc.health.v1.Health/Check");
    assert_eq!(request.headers()["content-type"], "application/grpc");
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", answer.err().unwrap_or("0").parse().expect("a value"));
    trailers.insert("grpc-message", "in its words".parse().expect("a value"));
    let mut frames = Vec::new();
    if let Ok(message) = answer {
        let length = u8::try_from(message.len()).expect("a short message");
        frames.push(Ok(Frame::data([&[0, 0, 0, 0, length], message].concat().into())));
    }
    frames.push(Ok(Frame::trailers(trailers)));
    let body = StreamBody::new(futures::stream::iter(frames));
    Response::builder().header("content-type", "application/grpc").body(body).expect("an answer")
}

#[tokio::test]
async fn servers_say_by_grpc_how_they_are() {
    for (answer, expected) in [
        (Ok([8, 1].as_slice()), Ok(())),
        (Ok(&[8, 2]), failed("service unhealthy (responded with \"NOT_SERVING\")")),
        (Ok(&[]), failed("service unhealthy (responded with \"UNKNOWN\")")),
        (Err("12"), failed("error: this server does not implement the grpc health protocol (grpc.health.v1.Health)")),
        (Err("5"), failed("error: health rpc probe failed: in its words")),
    ] {
        let port = start_health(answer).await.port();
        assert_eq!(ask(json!({ "grpc": { "port": port, "service": "web" } })).await, expected, "{answer:?}");
    }
    let closed = closed_port().await;
    let refused = format!(
        "error: failed to connect service \"127.0.0.1:{closed}\": dial tcp 127.0.0.1:{closed}: connect: connection refused"
    );
    assert_eq!(ask(json!({ "grpc": { "port": closed } })).await, failed(refused));
}

/// A health server whose answer is as long as it likes.
async fn flood(
    _: Request<Incoming>,
) -> Response<StreamBody<futures::stream::BoxStream<'static, Result<Frame<Bytes>, Infallible>>>> {
    let frames = futures::stream::repeat_with(|| Ok(Frame::data(Bytes::from(vec![0; 16 << 10]))));
    Response::builder()
        .header("content-type", "application/grpc")
        .body(StreamBody::new(frames.boxed()))
        .expect("an answer")
}

#[tokio::test]
async fn an_answer_by_grpc_without_an_end_is_not_read_to_its_end() {
    let (listener, port) = listen().await;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, flood));
        }
    });
    let why = format!("error: failed to connect service \"127.0.0.1:{port}\": length limit exceeded");
    assert_eq!(ask(json!({ "grpc": { "port": port } })).await, failed(why));
}

#[tokio::test]
async fn whoever_does_not_answer_in_time_has_failed() {
    let (_listener, port) = listen().await;
    let definition: Probe = serde_json::from_value(json!({ "httpGet": { "port": port } })).expect("a probe");
    let (runtime, container) = (FakeRuntime::default(), Container::default());
    let address = Some(Ipv4Addr::LOCALHOST);
    let answer = probe(&definition, &runtime, "id", &container, address, Duration::from_millis(50)).await;
    assert_eq!(answer, failed("context deadline exceeded"));
}
