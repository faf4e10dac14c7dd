//! How often the image is made, and what of it is removed. The engine is a socket that counts.

use std::{
    collections::HashMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bollard::{API_DEFAULT_VERSION, Docker, models::ImageSummary};
use futures::future::join_all;
use hyper::{Method, Request, Response, StatusCode, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{net::UnixListener, sync::Barrier};

use super::{IMAGE, ensure_image, removable};

/// An engine without images that takes imports; the first `at_once` looks are answered together.
#[derive(Debug)]
struct Engine {
    imports: AtomicUsize,
    looks: AtomicUsize,
    at_once: usize,
    together: Barrier,
}

impl Engine {
    fn serve(socket: &Path, at_once: usize) -> Arc<Self> {
        let engine = Arc::new(Self {
            imports: AtomicUsize::new(0),
            looks: AtomicUsize::new(0),
            at_once,
            together: Barrier::new(at_once),
        });
        let (listener, served) = (UnixListener::bind(socket).expect("a socket"), engine.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let engine = served.clone();
                let answer = service_fn(move |request| {
                    let engine = engine.clone();
                    async move { engine.answer(request).await }
                });
                tokio::spawn(async move {
                    // A client that goes is no failure of the engine's.
                    let _ =
                        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
                });
            }
        });
        engine
    }

    async fn answer(&self, request: Request<Incoming>) -> http::Result<Response<String>> {
        if request.method() == Method::POST {
            let query = request.uri().query().unwrap_or_default();
            assert!(query.contains("LABEL+nodeplane.content%3Dpause"), "{query}");
            self.imports.fetch_add(1, Ordering::SeqCst);
            return Response::builder().body(String::new());
        }
        if self.looks.fetch_add(1, Ordering::SeqCst) < self.at_once {
            self.together.wait().await;
        }
        if self.imports.load(Ordering::SeqCst) > 0 {
            return Response::builder().body("{}".to_owned());
        }
        let told = r#"{"message":"No such image"}"#.to_owned();
        Response::builder().status(StatusCode::NOT_FOUND).body(told)
    }
}

#[tokio::test]
async fn sandboxes_that_start_at_once_import_their_image_once() {
    let dir = tempfile::tempdir().expect("a directory");
    let socket = dir.path().join("engine.sock");
    let engine = Engine::serve(&socket, 3);
    let docker = Docker::connect_with_unix(&socket.display().to_string(), 20, API_DEFAULT_VERSION).expect("a client");
    for result in join_all((0..3).map(|_| ensure_image(&docker))).await {
        result.expect("the image is there");
    }
    assert_eq!(engine.imports.load(Ordering::SeqCst), 1, "a second import takes the name from the first image");
}

#[test]
fn an_image_that_lost_its_name_goes_and_a_name_of_others_stays() {
    let image = |id: &str, names: &[&str]| ImageSummary {
        id: id.to_owned(),
        repo_tags: names.iter().map(|name| (*name).to_owned()).collect(),
        labels: HashMap::new(),
        ..ImageSummary::default()
    };
    let found = [
        image("sha256:1", &[IMAGE]),
        image("sha256:2", &[]),
        image("sha256:3", &["<none>:<none>"]),
        image("sha256:4", &["mine/pause:2"]),
        image("sha256:5", &["mine/pause:3", IMAGE]),
    ];
    assert_eq!(removable(&found).into_iter().collect::<Vec<_>>(), [IMAGE, "sha256:2", "sha256:3"]);
}
