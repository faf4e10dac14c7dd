//! Sandboxes that do not start, against an engine on a socket of the test's own.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use hyper::{Method, Request, Response, StatusCode, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::UnixListener;

use super::{HostNamespaces, sandbox};
use crate::pods::runtime::{ContainerRuntime, docker::DockerRuntime};

/// What an engine was asked to change.
type Asked = Arc<Mutex<Vec<String>>>;

/// An engine that creates everything and starts nothing.
fn serve(socket: &Path) -> Asked {
    let listener = UnixListener::bind(socket).expect("a socket");
    let asked = Asked::default();
    let noted = asked.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let noted = noted.clone();
            let answer = service_fn(move |request| std::future::ready(answer(&request, &noted)));
            tokio::spawn(async move {
                // A client that goes is no failure of the engine's.
                let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
            });
        }
    });
    asked
}

fn answer(request: &Request<Incoming>, asked: &Asked) -> http::Result<Response<String>> {
    let path = request.uri().path();
    let path = path.find("/containers").map_or(path, |begin| &path[begin..]);
    if request.method() == Method::GET {
        return Response::builder().body(r#"{"ApiVersion":"1.41"}"#.to_owned());
    }
    asked.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{} {path}", request.method()));
    let (status, body) = match path {
        "/containers/create" => (StatusCode::CREATED, r#"{"Id":"abc","Warnings":[]}"#),
        "/containers/abc/start" => (StatusCode::INTERNAL_SERVER_ERROR, r#"{"message":"no such sysctl"}"#),
        _ => (StatusCode::NO_CONTENT, ""),
    };
    Response::builder().status(status).body(body.to_owned())
}

#[tokio::test]
async fn a_sandbox_that_does_not_start_is_removed() {
    let dir = tempfile::tempdir().expect("a directory");
    let socket = dir.path().join("engine.sock");
    let asked = serve(&socket);
    let runtime = DockerRuntime::connect(&format!("unix://{}", socket.display()), "n", None).await.expect("an engine");
    let error = runtime.run_sandbox(&sandbox(HostNamespaces::default())).await.expect_err("a refusal");
    assert_eq!(error.to_string(), "Error response from daemon: no such sysctl");
    let asked = asked.lock().unwrap_or_else(PoisonError::into_inner).clone();
    assert_eq!(asked, ["POST /containers/create", "POST /containers/abc/start", "DELETE /containers/abc"]);
}
