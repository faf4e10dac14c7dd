//! A container's output, from a node agent that only pretends.

use std::{convert::Infallible, sync::Arc};

use bytes::Bytes;
use futures::StreamExt;
use http::{Method, Response, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::{Request, body::Frame, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::mpsc, task::JoinHandle};
use tokio_rustls::TlsAcceptor;

use super::bed::{Answer, Ask, Bed, MERGE_PATCH, PODS, pod, text};
use crate::{
    http::{authn::Caller, reply::Body},
    pki::San,
};

type AgentBody = BoxBody<Bytes, Infallible>;

/// An agent on loopback, known as node `n1` under the names that its certificate has.
struct Agent {
    task: JoinHandle<()>,
    /// What the agent sends while the client follows.
    lines: mpsc::Sender<Bytes>,
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Agent {
    async fn start(bed: &Bed, certificate_name: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let identity = bed.pki.serving(&[San::Dns(certificate_name.to_owned())]).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(bed.pki.server_config(&identity).unwrap()));
        let (lines, feed) = mpsc::channel(8);
        let feed = Arc::new(tokio::sync::Mutex::new(feed));
        let task = tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { return };
                let (acceptor, feed) = (acceptor.clone(), feed.clone());
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let service = service_fn(move |request| {
                        let feed = feed.clone();
                        async move { Ok::<_, Infallible>(answer(&request, feed)) }
                    });
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        bed.post("/api/v1/nodes", json!({ "metadata": { "name": "n1" } })).await.created();
        let status = json!({ "status": {
            "addresses": [{ "type": "Hostname", "address": "n1" }, { "type": "InternalIP", "address": "127.0.0.1" }],
            "daemonEndpoints": { "kubeletEndpoint": { "Port": port } } } });
        bed.patch("/api/v1/nodes/n1/status", MERGE_PATCH, status).await.ok();
        Self { task, lines }
    }
}

fn whole(code: u16, content_type: &str, text: String) -> Response<AgentBody> {
    let body = BodyExt::boxed(Full::new(Bytes::from(text)));
    Response::builder().status(code).header("content-type", content_type).body(body).unwrap()
}

fn answer(request: &Request<Incoming>, feed: Arc<tokio::sync::Mutex<mpsc::Receiver<Bytes>>>) -> Response<AgentBody> {
    let (path, query) = (request.uri().path(), request.uri().query().unwrap_or_default());
    match path.rsplit('/').next().unwrap() {
        "starting" => whole(
            400,
            "text/plain",
            "container \"starting\" in pod \"a\" is waiting to start: ContainerCreating".to_owned(),
        ),
        "former" => {
            let status = json!({ "kind": "Status", "code": 400, "message": "previous terminated container \"former\" in pod \"a\" not found" });
            whole(400, "application/json", status.to_string())
        }
        "broken" => whole(500, "text/plain", "disk on fire\n".to_owned()),
        _ if query.contains("follow=true") => {
            let lines = futures::stream::unfold(feed, |feed| async move {
                let line = feed.lock().await.recv().await?;
                Some((Ok::<_, Infallible>(Frame::data(line)), feed))
            });
            Response::new(BodyExt::boxed(StreamBody::new(
                Box::pin(lines) as std::pin::Pin<Box<dyn futures::Stream<Item = _> + Send + Sync>>
            )))
        }
        _ => whole(200, "text/plain", format!("{path}?{query}\n")),
    }
}

async fn pod_with(bed: &Bed, containers: &[&str]) {
    let mut on_node = pod("a");
    let containers: Vec<Value> = containers.iter().map(|name| json!({ "name": name, "image": "i" })).collect();
    on_node["spec"]["containers"] = json!(containers);
    on_node["spec"]["nodeName"] = "n1".into();
    bed.post(PODS, on_node).await.created();
}

async fn log(bed: &Bed, query: &str) -> Answer {
    let reply = bed.reply(Caller::component("admin"), Ask::new(Method::GET, &format!("{PODS}/a/log{query}"))).await;
    let (code, headers) = (reply.status.as_u16(), reply.headers);
    let bytes = match reply.body {
        Body::Whole(bytes) => bytes,
        Body::Growing(stream) => stream.map(Result::unwrap).collect::<Vec<Bytes>>().await.concat().into(),
    };
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let body = serde_json::from_str(&text).unwrap_or(Value::Null);
    Answer { code, headers, bytes, text, body }
}

#[tokio::test]
async fn output_comes_from_the_agent_of_the_node_with_the_parameters_as_given() {
    let bed = Bed::start().await;
    let _agent = Agent::start(&bed, "n1").await;
    pod_with(&bed, &["c"]).await;
    assert_eq!(log(&bed, "").await.text, "/containerLogs/default/a/c?\n");
    let query =
        "?container=c&tailLines=5&timestamps=true&sinceTime=2024-01-01T00%3A00%3A00Z&limitBytes=10&previous=true";
    assert_eq!(
        log(&bed, query).await.text,
        "/containerLogs/default/a/c?previous=true&sinceTime=2024-01-01T00%3A00%3A00Z&timestamps=true&tailLines=5&limitBytes=10\n"
    );
}

#[tokio::test]
async fn followed_output_comes_as_it_is_written() {
    let bed = Bed::start().await;
    let agent = Agent::start(&bed, "n1").await;
    pod_with(&bed, &["c"]).await;
    let ask = Ask::new(Method::GET, &format!("{PODS}/a/log?follow=true"));
    let sent = agent.lines.clone();
    sent.send(Bytes::from_static(b"one\n")).await.unwrap();
    let reply = bed.reply(Caller::component("admin"), ask).await;
    assert_eq!(reply.status, StatusCode::OK);
    assert_eq!(reply.headers[http::header::CONTENT_TYPE], "text/plain");
    let Body::Growing(mut stream) = reply.body else { panic!("not a stream") };
    assert_eq!(stream.next().await.unwrap().unwrap(), "one\n");
    sent.send(Bytes::from_static(b"two\n")).await.unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap(), "two\n");
    // A server that stops lets nobody wait.
    bed.api.stop.cancel();
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn what_the_agent_refuses_is_read_in_its_words() {
    let bed = Bed::start().await;
    let _agent = Agent::start(&bed, "n1").await;
    pod_with(&bed, &["starting", "former", "broken"]).await;
    assert_eq!(
        log(&bed, "?container=starting").await.failed(400, "BadRequest"),
        "container \"starting\" in pod \"a\" is waiting to start: ContainerCreating"
    );
    assert_eq!(
        log(&bed, "?container=former&previous=true").await.failed(400, "BadRequest"),
        "previous terminated container \"former\" in pod \"a\" not found"
    );
    let broken = log(&bed, "?container=broken").await.failed(500, "InternalError");
    assert_eq!(broken, "Internal error occurred: disk on fire");
}

#[tokio::test]
async fn a_container_must_be_chosen_when_there_are_several() {
    let bed = Bed::start().await;
    pod_with(&bed, &["x", "y"]).await;
    assert_eq!(
        log(&bed, "").await.failed(400, "BadRequest"),
        "a container name must be specified for pod a, choose one of: [x y]"
    );
    assert_eq!(log(&bed, "?container=z").await.failed(400, "BadRequest"), "container z is not valid for pod a");
    let missing = bed.get(&format!("{PODS}/none/log")).await.failed(404, "NotFound");
    assert_eq!(missing, "pods \"none\" not found");
}

#[tokio::test]
async fn parameters_are_checked_before_anybody_is_called() {
    let bed = Bed::start().await;
    pod_with(&bed, &["c"]).await;
    for (query, words) in [
        (
            "tailLines=-1",
            "PodLogOptions \"\" is invalid: tailLines: Invalid value: -1: must be greater than or equal to 0",
        ),
        ("limitBytes=0", "limitBytes: Invalid value: 0: must be greater than 0"),
        ("sinceSeconds=0", "sinceSeconds: Invalid value: 0: must be greater than 0"),
        (
            "sinceSeconds=1&sinceTime=2024-01-01T00:00:00Z",
            "at most one of `sinceTime` or `sinceSeconds` may be specified",
        ),
        ("sinceTime=yesterday", "sinceTime: Invalid value: \"yesterday\""),
    ] {
        let refused = log(&bed, &format!("?{query}")).await.failed(422, "Invalid");
        assert!(refused.contains(words), "{refused}");
    }
}

#[tokio::test]
async fn a_pod_without_a_node_has_no_output_yet() {
    let bed = Bed::start().await;
    bed.post(PODS, pod("a")).await.created();
    let empty = log(&bed, "").await;
    assert_eq!((empty.code, empty.text.as_str()), (204, ""));
}

#[tokio::test]
async fn an_agent_that_is_not_the_node_is_not_believed() {
    let bed = Bed::start().await;
    let _agent = Agent::start(&bed, "n2").await;
    pod_with(&bed, &["c"]).await;
    let refused = log(&bed, "").await;
    assert_eq!(refused.code, 500);
    assert!(text(&refused.body, "/message").starts_with("Get \"https://127.0.0.1:"), "{}", refused.text);
    assert!(text(&refused.body, "/message").contains("certificate"), "{}", refused.text);
}
