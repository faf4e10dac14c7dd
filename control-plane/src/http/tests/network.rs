//! The same API over TCP and TLS: both versions of HTTP, certificates, limits, the end.

use std::{net::SocketAddr, sync::Arc};

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
use serde_json::Value;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::TlsConnector;

use super::bed::{Bed, CONFIG_MAPS, config_map, text};
use crate::{
    http::{call::BODY_LIMIT, server},
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
        let bed = Bed::start().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let identity = bed.pki.serving(&[San::Dns("localhost".to_owned())]).unwrap();
        let tls = Arc::new(bed.pki.server_config(&identity).unwrap());
        let serving = tokio::spawn(server::serve(bed.api.clone(), listener, tls));
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

    /// Sends one request on a connection of its own.
    async fn send(&self, mut tls: ClientConfig, version: Version, request: Request<Full<Bytes>>) -> Response<Incoming> {
        let protocol: &[u8] = if version == Version::HTTP_2 { b"h2" } else { b"http/1.1" };
        tls.alpn_protocols = vec![protocol.to_vec()];
        let stream = TcpStream::connect(self.address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let stream = TlsConnector::from(Arc::new(tls)).connect(name, stream).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(protocol));
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

async fn json(response: Response<Incoming>) -> Value {
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
        assert_eq!(text(&json(created).await, "/metadata/name"), name);
        let query = request(Method::GET, &format!("{CONFIG_MAPS}?fieldSelector=metadata.name%3D{name}"), "");
        assert_eq!(
            json(network.send(network.admin(), version, query).await).await["items"].as_array().unwrap().len(),
            1
        );
        let refused = network.send(network.nobody(), version, request(Method::GET, CONFIG_MAPS, "")).await;
        assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
        let version_of = network.send(network.nobody(), version, request(Method::GET, "/version", "")).await;
        assert_eq!(json(version_of).await["minor"], "33");
    }
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused() {
    let network = Network::start().await;
    for version in BOTH {
        let huge = request(Method::POST, CONFIG_MAPS, vec![b' '; BODY_LIMIT + 1]);
        let refused = network.send(network.admin(), version, huge).await;
        assert_eq!(refused.status(), StatusCode::PAYLOAD_TOO_LARGE, "{version:?}");
        assert_eq!(json(refused).await["message"], "Request entity too large: limit is 3145728");
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
