//! The same API over TCP and TLS: both versions of HTTP, certificates, limits, the end.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, Version, header};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::bed::{Bed, CONFIG_MAPS, PATIENCE, config_map, text};
use crate::{
    http::{
        bounds::Bounds,
        call::BODY_LIMIT,
        server::{self, Strangers},
    },
    pki::San,
};

/// A server on loopback.
struct Network {
    bed: Bed,
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Network {
    async fn start() -> Self {
        Self::with(Bed::start().await, Strangers::default()).await
    }

    async fn with(bed: Bed, strangers: Strangers) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let identity = bed.pki.serving(&[San::Dns("localhost".to_owned())]).unwrap();
        let tls = Arc::new(bed.pki.server_config(&identity).unwrap());
        let serving = tokio::spawn(server::serve_with(bed.api.clone(), listener, tls, strangers));
        Self { bed, address, serving }
    }

    fn admin(&self) -> ClientConfig {
        let identity = self.bed.pki.client("admin", &["system:masters"]).unwrap();
        self.bed.pki.client_config(&identity).unwrap()
    }

    fn nobody(&self) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.bed.pki.ca_pem().as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        builder.with_root_certificates(roots).with_no_client_auth()
    }

    async fn connect(&self, mut tls: ClientConfig, version: Version) -> TlsStream<TcpStream> {
        let protocol: &[u8] = if version == Version::HTTP_2 { b"h2" } else { b"http/1.1" };
        tls.alpn_protocols = vec![protocol.to_vec()];
        let stream = TcpStream::connect(self.address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let stream = TlsConnector::from(Arc::new(tls)).connect(name, stream).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(protocol));
        stream
    }

    /// A connection in HTTP/2 that reads so much of an answer before it is asked to, and its end.
    async fn open(&self, tls: ClientConfig, window: u32) -> (http2::SendRequest<Full<Bytes>>, JoinHandle<()>) {
        let stream = self.connect(tls, Version::HTTP_2).await;
        let mut builder = http2::Builder::new(TokioExecutor::new());
        let (sender, connection) =
            builder.initial_stream_window_size(window).handshake(TokioIo::new(stream)).await.unwrap();
        (sender, tokio::spawn(async { drop(connection.await) }))
    }

    /// Waits until there is a place for one more without a certificate: a server's end of a connection may end a little
    /// later than the client's.
    async fn lets_in(&self, token: &str) {
        let coming_in = async {
            loop {
                let stream = self.connect(self.nobody(), Version::HTTP_11).await;
                let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
                tokio::spawn(connection);
                match sender.send_request(ask("/version", token)).await {
                    Ok(answer) => return answer.status(),
                    Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
                }
            }
        };
        let status = tokio::time::timeout(PATIENCE, coming_in).await.expect("nobody is let in");
        assert_eq!(status, StatusCode::OK);
    }

    /// Sends one request on a connection of its own.
    async fn send(&self, tls: ClientConfig, version: Version, request: Request<Full<Bytes>>) -> Response<Incoming> {
        let stream = self.connect(tls, version).await;
        if version == Version::HTTP_2 {
            let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
            tokio::spawn(connection);
            return sender.send_request(request).await.unwrap();
        }
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        sender.send_request(request).await.unwrap()
    }
}

fn request(method: Method, path: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    let uri = format!("https://localhost{path}");
    Request::builder().method(method).uri(uri).header(header::HOST, "localhost").body(Full::new(body.into())).unwrap()
}

async fn body(response: Response<Incoming>) -> Value {
    serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap()
}

const BOTH: [Version; 2] = [Version::HTTP_11, Version::HTTP_2];

#[tokio::test]
async fn a_certificate_opens_the_door_in_both_versions_of_http() {
    let network = Network::start().await;
    for (version, name) in BOTH.into_iter().zip(["a", "b"]) {
        let create = request(Method::POST, CONFIG_MAPS, config_map(name).to_string());
        let created = network.send(network.admin(), version, create).await;
        assert_eq!((created.status(), created.version()), (StatusCode::CREATED, version));
        assert_eq!(text(&body(created).await, "/metadata/name"), name);
        let query = request(Method::GET, &format!("{CONFIG_MAPS}?fieldSelector=metadata.name%3D{name}"), "");
        assert_eq!(
            body(network.send(network.admin(), version, query).await).await["items"].as_array().unwrap().len(),
            1
        );
        let refused = network.send(network.nobody(), version, request(Method::GET, CONFIG_MAPS, "")).await;
        assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
        let version_of = network.send(network.nobody(), version, request(Method::GET, "/version", "")).await;
        assert_eq!(body(version_of).await["minor"], "33");
    }
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused() {
    let network = Network::start().await;
    for version in BOTH {
        let huge = request(Method::POST, CONFIG_MAPS, vec![b' '; BODY_LIMIT + 1]);
        let refused = network.send(network.admin(), version, huge).await;
        assert_eq!(refused.status(), StatusCode::PAYLOAD_TOO_LARGE, "{version:?}");
        assert_eq!(body(refused).await["message"], "Request entity too large: limit is 3145728");
    }
}

#[tokio::test]
async fn events_are_sent_when_they_happen_and_the_end_lets_watches_go() {
    let network = Network::start().await;
    let mut watches = Vec::new();
    for version in BOTH {
        let watch = request(Method::GET, &format!("{CONFIG_MAPS}?watch=true"), "");
        let response = network.send(network.admin(), version, watch).await;
        assert_eq!(response.status(), StatusCode::OK);
        watches.push(response.into_body());
    }
    network.bed.post(CONFIG_MAPS, config_map("a")).await.created();
    for body in &mut watches {
        let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
        let event: Value = serde_json::from_slice(&frame).unwrap();
        assert_eq!((text(&event, "/type"), text(&event, "/object/metadata/name")), ("ADDED", "a"));
    }
    network.bed.api.stop.cancel();
    for body in watches {
        assert!(body.collect().await.unwrap().to_bytes().is_empty(), "a watch ends in an orderly way");
    }
    network.serving.await.unwrap();
    assert!(TcpStream::connect(network.address).await.is_err(), "nobody listens any more");
}

/// Far more than an answer of a few bytes.
const WINDOW: u32 = 1 << 16;

fn ask(path: &str, token: &str) -> Request<Full<Bytes>> {
    let mut request = request(Method::GET, path, "");
    if !token.is_empty() {
        request.headers_mut().insert(header::AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
    }
    request
}

#[tokio::test]
async fn strangers_who_asked_once_do_not_keep_others_out() {
    let network = Network::with(Bed::start().await, Strangers { at_once: 2, stay: Duration::from_secs(2) }).await;
    let path = "/api/v1/namespaces/default/serviceaccounts/default/token";
    let wanted = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {} });
    let token = text(&network.bed.post(path, wanted).await.created(), "/status/token").to_owned();
    let (mut known, _) = network.open(network.nobody(), WINDOW).await;
    let (mut admin, _) = network.open(network.admin(), WINDOW).await;
    // A token is shown in time, and its connection has a place for itself from then on.
    assert_ne!(known.send_request(ask("/version", &token)).await.unwrap().status(), StatusCode::UNAUTHORIZED);
    assert_eq!(admin.send_request(ask("/version", "")).await.unwrap().status(), StatusCode::OK);

    let mut strangers = Vec::new();
    for _ in 0..2 {
        let (mut sender, end) = network.open(network.nobody(), WINDOW).await;
        let answer = sender.send_request(ask("/version", "")).await.unwrap();
        assert_eq!(body(answer).await["minor"], "33");
        strangers.push((sender, end));
    }
    for (_sender, end) in strangers {
        tokio::time::timeout(PATIENCE, end).await.expect("a stranger has to go").unwrap();
    }
    network.lets_in(&token).await;
    // All this time nobody asked on these.
    assert_eq!(known.send_request(ask("/version", &token)).await.unwrap().status(), StatusCode::OK);
    assert_eq!(admin.send_request(ask("/version", "")).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn a_stranger_does_not_stay_by_leaving_an_answer_unread() {
    let mut bed = Bed::start().await;
    bed.limit(Bounds { request: Duration::from_secs(1), ..Bounds::default() });
    let network = Network::with(bed, Strangers { at_once: 1, stay: Duration::from_secs(1) }).await;
    let (mut sender, end) = network.open(network.nobody(), 0).await;
    let _unread = sender.send_request(ask("/version", "")).await.unwrap();
    tokio::time::timeout(PATIENCE, end).await.expect("a stranger has to go").unwrap();
    network.lets_in("").await;
}
