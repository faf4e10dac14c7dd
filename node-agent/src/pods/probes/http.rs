//! Asks by HTTP (`pkg/probe/http`): 200 to 399 is well, redirects within the host are followed.

use std::net::Ipv4Addr;

use http_body_util::Empty;
use hyper::{Request, Response, Uri, body::Incoming, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::{Container, HTTPGetAction};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    ask::{Answer, Unwell, connect, port},
    tls,
};

/// As whom probes introduce themselves.
const USER_AGENT: &str = "kube-probe/1.33";
/// Redirects that are followed.
const MAX_REDIRECTS: usize = 10;

/// Where to ask.
#[derive(Clone, Debug)]
struct Target {
    tls: bool,
    host: String,
    port: u16,
    path: String,
}

impl Target {
    fn url(&self) -> String {
        let Self { tls, host, port, path } = self;
        format!("{}://{host}:{port}{path}", if *tls { "https" } else { "http" })
    }

    /// Where a redirect leads; nothing when it leads to another host.
    fn follow(&self, location: &str) -> Option<Self> {
        let uri: Uri = location.parse().ok()?;
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let Some(host) = uri.host() else {
            let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
            return Some(Self { path, ..self.clone() });
        };
        let tls = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
        (host == self.host).then(|| Self { tls, host: host.to_owned(), port, path: path.to_owned() })
    }
}

/// Whether a GET is answered well.
pub(in crate::pods) async fn get(action: &HTTPGetAction, container: &Container, pod: Ipv4Addr) -> Answer {
    let path = action.path.clone().unwrap_or_default();
    let mut target = Target {
        tls: action.scheme.as_deref().is_some_and(|scheme| scheme.eq_ignore_ascii_case("https")),
        host: action.host.clone().filter(|host| !host.is_empty()).unwrap_or_else(|| pod.to_string()),
        port: port(&action.port, container)?,
        path: if path.starts_with('/') { path } else { format!("/{path}") },
    };
    for _ in 0..=MAX_REDIRECTS {
        let answer = request(action, &target).await.map_err(Unwell::Failed)?;
        let code = answer.status().as_u16();
        let location = answer.headers().get(header::LOCATION).and_then(|location| location.to_str().ok());
        match location.filter(|_| (300..400).contains(&code)) {
            // What leads elsewhere is an answer, too.
            Some(location) => match target.follow(location) {
                Some(next) => target = next,
                None => return Ok(()),
            },
            None if (200..400).contains(&code) => return Ok(()),
            None => return Err(Unwell::Failed(format!("HTTP probe failed with statuscode: {code}"))),
        }
    }
    Err(Unwell::Failed(format!("Get \"{}\": stopped after {MAX_REDIRECTS} redirects", target.url())))
}

async fn request(action: &HTTPGetAction, target: &Target) -> Result<Response<Incoming>, String> {
    let failed = |error: &dyn std::fmt::Display| format!("Get \"{}\": {error}", target.url());
    let stream = connect(&target.host, target.port).await.map_err(|error| failed(&error))?;
    let request = build(action, target).map_err(|error| failed(&error))?;
    let answer = if target.tls {
        send(tls::unverified(stream, &target.host).await.map_err(|error| failed(&error))?, request).await
    } else {
        send(stream, request).await
    };
    answer.map_err(|error| failed(&error))
}

async fn send<S>(stream: S, request: Request<Empty<bytes::Bytes>>) -> hyper::Result<Response<Incoming>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio_util::task::AbortOnDropHandle::new(tokio::spawn(connection));
    let answer = sender.send_request(request).await;
    drop(connection);
    answer
}

fn build(action: &HTTPGetAction, target: &Target) -> Result<Request<Empty<bytes::Bytes>>, http::Error> {
    let mut request = Request::get(target.path.as_str());
    let headers = action.http_headers.as_deref().unwrap_or_default();
    let given = |name: &str| headers.iter().any(|header| header.name.eq_ignore_ascii_case(name));
    if !given("host") {
        request = request.header(header::HOST, format!("{}:{}", target.host, target.port));
    }
    if !given("user-agent") {
        request = request.header(header::USER_AGENT, USER_AGENT);
    }
    if !given("accept") {
        request = request.header(header::ACCEPT, "*/*");
    }
    for given in headers {
        request = request.header(&given.name, &given.value);
    }
    request.header(header::CONNECTION, "close").body(Empty::new())
}
