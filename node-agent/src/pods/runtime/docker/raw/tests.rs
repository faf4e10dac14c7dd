//! What a terminal wrote, against an engine on a socket of the test's own.

use futures::TryStreamExt;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixListener,
};

use base64::{Engine, engine::general_purpose::URL_SAFE};

use super::{logs, pull, query};
use crate::pods::runtime::{Credentials, LogOptions, RuntimeError};

/// An engine that gives this answer to one request; what it was asked comes back.
fn engine(dir: &std::path::Path, answer: Vec<u8>) -> (String, tokio::task::JoinHandle<String>) {
    let socket = dir.join("docker.sock");
    let listener = UnixListener::bind(&socket).expect("a socket");
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a client");
        let mut asked = Vec::new();
        while !asked.ends_with(b"\r\n\r\n") {
            asked.push(stream.read_u8().await.expect("a request"));
        }
        stream.write_all(&answer).await.expect("an answer");
        String::from_utf8_lossy(&asked).into_owned()
    });
    (format!("unix://{}", socket.display()), served)
}

#[tokio::test]
async fn a_terminal_that_writes_a_one_first_and_no_line_feed_ever_is_read_as_it_is() {
    let dir = tempfile::tempdir().expect("a directory");
    // Taken for the header of a frame, this would be one of 4 GiB.
    let mut written = vec![1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 2];
    written.resize(1 << 20, b'x');
    let head = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
    let (host, served) = engine(dir.path(), [head.as_slice(), &written].concat());
    let log = logs(&host, "1.41", "abc", &LogOptions::default()).await.expect("a log");
    let pieces: Vec<_> = log.try_collect().await.expect("pieces");
    assert!(pieces.len() > 1, "it comes in parts");
    assert!(pieces.concat() == written);
    let asked = served.await.expect("a request");
    assert!(asked.starts_with("GET /v1.41/containers/abc/logs?stdout=true"), "{asked}");
}

#[tokio::test]
async fn an_engines_refusal_keeps_its_words() {
    let dir = tempfile::tempdir().expect("a directory");
    let said = br#"{"message":"No such container: abc"}"#;
    let head = format!("HTTP/1.1 404 Not Found\r\nContent-Length: {}\r\n\r\n", said.len());
    let (host, _served) = engine(dir.path(), [head.as_bytes(), said].concat());
    match logs(&host, "1.41", "abc", &LogOptions::default()).await.err() {
        Some(RuntimeError::NotFound(message)) => assert_eq!(message, "No such container: abc"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn credentials_reach_the_engine_whatever_is_in_them() {
    let dir = tempfile::tempdir().expect("a directory");
    let head = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"status\":\"Pulling\"}\n{\"status\":\"Done\"}";
    let (host, served) = engine(dir.path(), head.into());
    // In the other alphabet of this encoding these would be plus signs and slashes.
    let password = "~~~???>>>".to_owned();
    let credentials = Credentials { username: "me".to_owned(), password, ..Credentials::default() };
    pull(&host, "1.41", "r.example/app@sha256:1", &credentials).await.expect("a pull");
    let asked = served.await.expect("a request");
    assert!(asked.starts_with("POST /v1.41/images/create?fromImage=r.example/app%40sha256:1 "), "{asked}");
    let auth = asked.lines().find_map(|line| line.strip_prefix("x-registry-auth: ")).expect("credentials");
    let auth: serde_json::Value =
        serde_json::from_slice(&URL_SAFE.decode(auth).expect("the engine's alphabet")).expect("JSON");
    assert_eq!((&auth["username"], &auth["password"]), (&"me".into(), &"~~~???>>>".into()));
}

#[tokio::test]
async fn a_pull_that_fails_on_its_way_says_why() {
    let dir = tempfile::tempdir().expect("a directory");
    let head = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"status\":\"Pulling\"}\n{\"error\":\"unauthorized\"}\n";
    let (host, _served) = engine(dir.path(), head.into());
    let failed = pull(&host, "1.41", "r.example/app:1", &Credentials::default()).await.expect_err("a refusal");
    assert_eq!(failed.to_string(), "unauthorized");
}

#[test]
fn what_is_wanted_is_asked_for() {
    let since = "2024-01-01T00:00:00.5Z".parse().ok();
    let options = LogOptions { follow: true, since, tail: Some(3), timestamps: true, tty: true };
    assert_eq!(query(&options), "stdout=true&stderr=true&follow=true&since=1704067200&tail=3&timestamps=true");
    let plain = "stdout=true&stderr=true&follow=false&since=0&tail=all&timestamps=false";
    assert_eq!(query(&LogOptions::default()), plain);
}
