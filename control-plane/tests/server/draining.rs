//! An orderly end: what is under way is finished, what comes is sent elsewhere.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use futures::StreamExt;
use http::{Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, api::ListParams};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
};

use crate::bed::{DEADLINE, Server};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

fn config_map(name: &str) -> Vec<u8> {
    format!(r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"{name}"}}}}"#).into_bytes()
}

/// Waits until nobody takes connections any more.
async fn is_closed(server: &Server) {
    let closed = async {
        while TcpStream::connect(server.address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(DEADLINE, closed).await.expect("the server still takes connections");
}

/// Reads until the text is there, or to the end.
async fn read_until(stream: &mut (impl AsyncReadExt + Unpin), text: &str) -> String {
    let mut read = Vec::new();
    let reading = async {
        while !String::from_utf8_lossy(&read).contains(text) && stream.read_buf(&mut read).await.unwrap() > 0 {}
    };
    tokio::time::timeout(DEADLINE, reading).await.expect("the server is silent");
    String::from_utf8(read).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_under_way_over_http1_is_carried_out() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &[]);
    let (body, mut stream) = (config_map("under-way"), server.stream(&["http/1.1"]).await);
    let length = body.len();
    let head = format!(
        "POST {MAPS} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
         Expect: 100-continue\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // The server asks for the body: the call is under way.
    read_until(&mut stream, "100 Continue\r\n\r\n").await;
    stream.write_all(&body[..10]).await.unwrap();
    server.signal("TERM");
    is_closed(&server).await;
    stream.write_all(&body[10..]).await.unwrap();
    // The server ends the connection after its answer.
    let answer = read_until(&mut stream, "never").await;
    assert!(answer.starts_with("HTTP/1.1 201 Created\r\n"), "{answer}");
    assert!(answer.to_ascii_lowercase().contains("\r\nconnection: close\r\n"), "{answer}");
    let (status, log) = tokio::task::spawn_blocking(move || server.ended()).await.unwrap();
    assert!(status.success(), "{log}");
    let server = Server::start(dir.path(), &[]);
    let maps = Api::<ConfigMap>::default_namespaced(server.client().await);
    assert!(maps.get_opt("under-way").await.unwrap().is_some());
}

type Body = StreamBody<futures::stream::BoxStream<'static, Result<Frame<Bytes>, Infallible>>>;

/// A body that is sent by and by.
fn body() -> (mpsc::Sender<Bytes>, Body) {
    let (sender, receiver) = mpsc::channel(4);
    let pieces = futures::stream::unfold(receiver, |mut receiver: mpsc::Receiver<Bytes>| async move {
        receiver.recv().await.map(|piece| (Ok(Frame::data(piece)), receiver))
    });
    (sender, StreamBody::new(pieces.boxed()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_under_way_over_http2_is_carried_out_and_the_watch_beside_it_ends() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &[]);
    let stream = server.stream(&["h2"]).await;
    let handshake = hyper::client::conn::http2::handshake::<_, _, Body>(TokioExecutor::new(), TokioIo::new(stream));
    let (mut calls, connection) = handshake.await.unwrap();
    let connection = tokio::spawn(connection);

    let watch = Request::get(format!("https://localhost{MAPS}?watch=1")).body(body().1).unwrap();
    let mut watch: Response<Incoming> = calls.send_request(watch).await.unwrap();
    let (pieces, slow) = body();
    let create = Request::post(format!("https://localhost{MAPS}")).header("content-type", "application/json");
    let create = tokio::spawn(calls.send_request(create.body(slow).unwrap()));
    let map = config_map("under-way");
    pieces.send(Bytes::copy_from_slice(&map[..10])).await.unwrap();
    // On one connection calls come in the order in which they were sent.
    let (_, empty) = body();
    let after = calls.send_request(Request::get("https://localhost/livez").body(empty).unwrap()).await.unwrap();
    assert_eq!(after.status(), StatusCode::OK);

    server.signal("TERM");
    is_closed(&server).await;
    let rest =
        tokio::time::timeout(DEADLINE, async { while let Some(Ok(_)) = watch.body_mut().frame().await {} }).await;
    rest.expect("the watch goes on");
    pieces.send(Bytes::copy_from_slice(&map[10..])).await.unwrap();
    drop(pieces);
    let created = tokio::time::timeout(DEADLINE, create).await.unwrap().unwrap().unwrap();
    assert_eq!(created.status(), StatusCode::CREATED);
    created.into_body().collect().await.unwrap();
    // Told to go away in order: that is no error.
    tokio::time::timeout(DEADLINE, connection).await.unwrap().unwrap().unwrap();
    let (status, log) = tokio::task::spawn_blocking(move || server.ended()).await.unwrap();
    assert!(status.success(), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_told_to_stop_is_not_ready_and_serves_for_as_long_as_it_is_told_to() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &["--shutdown-delay-duration", "10m"]);
    let client = server.client().await;
    let ready = async || {
        let request = Request::get("/readyz").body(Vec::new()).unwrap();
        client.request_text(request).await
    };
    assert_eq!(ready().await.unwrap(), "ok");
    server.signal("TERM");
    let unready = async {
        while ready().await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(DEADLINE, unready).await.expect("the server still says that it is ready");
    // Calls are answered, on new connections, too.
    let maps = Api::<ConfigMap>::default_namespaced(server.client().await);
    maps.list(&ListParams::default()).await.unwrap();
    let alive = Request::get("/livez").body(Vec::new()).unwrap();
    assert_eq!(client.request_text(alive).await.unwrap(), "ok");
    // Who does not want to wait says so again.
    server.signal("TERM");
    let (status, log) = tokio::task::spawn_blocking(move || server.ended()).await.unwrap();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains("ending at once"), "{log}");
}
