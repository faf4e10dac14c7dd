//! Asks by `grpc.health.v1.Health/Check` (`pkg/probe/grpc`): one message each way, so it is written
//! and read here.

use std::net::Ipv4Addr;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Request, client::conn::http2, header};
use hyper_util::rt::{TokioExecutor, TokioIo};
use k8s_openapi::api::core::v1::GRPCAction;

use super::ask::{Answer, Unwell, connect};

/// `SERVING` of `HealthCheckResponse.ServingStatus`; its names follow.
const SERVING: usize = 1;
const STATUSES: [&str; 4] = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];
/// A status is a few bytes; what a container sends beyond this is not read.
const LONGEST_ANSWER: usize = 64 << 10;
/// gRPC's code for a method that a server does not have.
const UNIMPLEMENTED: &str = "12";

/// What a server said.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    code: String,
    message: String,
    body: Bytes,
}

/// Whether the server says that it serves.
pub(super) async fn check(action: &GRPCAction, pod: Ipv4Addr) -> Answer {
    let port =
        u16::try_from(action.port).map_err(|_| Unwell::Errored(format!("invalid port number: {}", action.port)))?;
    let service = action.service.as_deref().unwrap_or_default();
    let said = call(pod, port, service)
        .await
        .map_err(|error| Unwell::Failed(format!("error: failed to connect service \"{pod}:{port}\": {error}")))?;
    match said.code.as_str() {
        "0" => {}
        UNIMPLEMENTED => {
            return Err(Unwell::Failed(
                "error: this server does not implement the grpc health protocol (grpc.health.v1.Health)".to_owned(),
            ));
        }
        _ => return Err(Unwell::Failed(format!("error: health rpc probe failed: {}", said.message))),
    }
    match status(&said.body) {
        Some(SERVING) => Ok(()),
        other => {
            let name = other.and_then(|status| STATUSES.get(status)).unwrap_or(&STATUSES[0]);
            Err(Unwell::Failed(format!("service unhealthy (responded with \"{name}\")")))
        }
    }
}

async fn call(pod: Ipv4Addr, port: u16, service: &str) -> Result<Said, String> {
    let words = |error: &dyn std::fmt::Display| error.to_string();
    let stream = connect(&pod.to_string(), port).await?;
    let (mut sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.map_err(|error| words(&error))?;
    let _connection = tokio_util::task::AbortOnDropHandle::new(tokio::spawn(connection));
    let request = Request::post(format!("http://{pod}:{port}/grpc.health.v1.Health/Check"))
        .header(header::CONTENT_TYPE, "application/grpc")
        .header(header::TE, "trailers")
        .header(header::USER_AGENT, "kube-probe/1.33")
        .body(Full::new(frame(&message(service))))
        .map_err(|error| words(&error))?;
    let answer = sender.send_request(request).await.map_err(|error| words(&error))?;
    let (head, body) = answer.into_parts();
    let body = Limited::new(body, LONGEST_ANSWER).collect().await.map_err(|error| words(&error))?;
    // A server that has nothing to say puts its trailers in front.
    let trailers = body.trailers().cloned().unwrap_or(head.headers);
    let text = |name: &str| trailers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    Ok(Said { code: text("grpc-status"), message: text("grpc-message"), body: body.to_bytes() })
}

/// A `HealthCheckRequest`: field 1 is the service's name.
fn message(service: &str) -> Vec<u8> {
    let mut message = Vec::new();
    if !service.is_empty() {
        message.push(0x0a);
        let mut length = service.len();
        while length >= 0x80 {
            message.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        message.push(length as u8);
        message.extend_from_slice(service.as_bytes());
    }
    message
}

/// Not compressed, with its length in front.
fn frame(message: &[u8]) -> Bytes {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes();
    [&[0], length.as_slice(), message].concat().into()
}

/// The status in a framed `HealthCheckResponse`: field 1, a small number; absent is 0.
fn status(framed: &[u8]) -> Option<usize> {
    match framed.get(5..)? {
        [] => Some(0),
        [0x08, status, ..] => Some(usize::from(*status)),
        _ => None,
    }
}
