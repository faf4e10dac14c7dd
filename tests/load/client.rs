//! One client: a connection of its own, TLS with a certificate, HTTP/2 with the windows of client-go.
//!
//! In: requests. Out: whole answers, or a body that grows. Never tries anything twice: an answer that is no success is
//! an error of the run.

use std::{net::SocketAddr, sync::Arc};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::{Method, Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// What Go's HTTP/2 transport lets a server send ahead: per stream, and per connection.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 1 << 30;

/// JSON, of answers and of bodies.
pub(crate) const JSON: &str = "application/json";
/// The protobuf of Kubernetes.
pub(crate) const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
/// What kubectl asks for.
pub(crate) const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";
/// The patch that kubectl sends.
pub(crate) const STRATEGIC: &str = "application/strategic-merge-patch+json";

/// Where a server is, and how it is dialled.
#[derive(Clone)]
pub(crate) struct Dialer {
    address: SocketAddr,
    tls: Arc<ClientConfig>,
}

impl Dialer {
    pub(crate) fn new(address: SocketAddr, tls: Arc<ClientConfig>) -> Self {
        Self { address, tls }
    }

    /// A new connection.
    pub(crate) async fn dial(&self) -> Result<Client> {
        let tcp = TcpStream::connect(self.address).await?;
        tcp.set_nodelay(true)?;
        let name = rustls_pki_types::ServerName::from(self.address.ip());
        let tls = TlsConnector::from(self.tls.clone()).connect(name, tcp).await?;
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder.initial_stream_window_size(STREAM_WINDOW).initial_connection_window_size(CONNECTION_WINDOW);
        let (sender, connection) = builder.handshake(TokioIo::new(tls)).await?;
        // Its end is seen by the requests that it carries.
        tokio::spawn(connection);
        Ok(Client { sender, authority: self.address.to_string() })
    }

    /// So many connections.
    pub(crate) async fn dial_many(&self, count: usize) -> Result<Vec<Client>> {
        let mut clients = Vec::with_capacity(count);
        for _ in 0..count {
            clients.push(self.dial().await?);
        }
        Ok(clients)
    }
}

/// A connection.
#[derive(Clone)]
pub(crate) struct Client {
    sender: http2::SendRequest<Full<Bytes>>,
    authority: String,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) accept: &'static str,
    pub(crate) content_type: &'static str,
    pub(crate) body: Bytes,
}

impl Ask {
    /// Something to read.
    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self { method: Method::GET, path: path.into(), accept: JSON, content_type: JSON, body: Bytes::new() }
    }

    /// Something to write.
    pub(crate) fn send(method: Method, path: impl Into<String>, body: impl Into<Bytes>) -> Self {
        Self { method, body: body.into(), ..Self::get(path) }
    }

    /// In another form.
    pub(crate) fn accepting(self, accept: &'static str) -> Self {
        Self { accept, ..self }
    }

    /// With a body of another type.
    pub(crate) fn of_type(self, content_type: &'static str) -> Self {
        Self { content_type, ..self }
    }
}

impl Client {
    /// The whole answer; an error unless it is a success.
    pub(crate) async fn call(&mut self, ask: Ask) -> Result<Bytes> {
        let (method, path) = (ask.method.clone(), ask.path.clone());
        let answer = self.open(ask).await.with_context(|| format!("{method} {path}"))?;
        let status = answer.status();
        let body = answer.into_body().collect().await.with_context(|| format!("{method} {path}"))?.to_bytes();
        if !status.is_success() {
            bail!("{method} {path}: {status}: {}", String::from_utf8_lossy(&body[..body.len().min(500)]));
        }
        Ok(body)
    }

    /// The answer as soon as it begins.
    pub(crate) async fn open(&mut self, ask: Ask) -> Result<Response<Incoming>> {
        let mut request = Request::builder()
            .method(ask.method)
            .uri(format!("https://{}{}", self.authority, ask.path))
            .header(header::ACCEPT, ask.accept)
            .header(header::USER_AGENT, "nodeplane-load");
        if !ask.body.is_empty() {
            request = request.header(header::CONTENT_TYPE, ask.content_type);
        }
        self.sender.ready().await?;
        Ok(self.sender.send_request(request.body(Full::new(ask.body))?).await?)
    }
}
