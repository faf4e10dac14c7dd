//! What the client that speaks to the engine otherwise does not do right.
//!
//! Logs of containers with a terminal: it waits for the end of a line, however long, and takes a
//! byte below 3 for the header of a frame. A terminal's log has neither. Pulls with credentials: it
//! writes them in an alphabet that the engine does not read, which asks as nobody then.

use base64::{Engine, engine::general_purpose::URL_SAFE};
use bytes::Bytes;
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use http_body_util::{BodyDataStream, BodyExt, Empty, Limited};
use hyper::{Request, Response, body::Incoming, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
};
use tokio_util::task::AbortOnDropHandle;

use crate::pods::runtime::{Credentials, LogOptions, RuntimeError};

/// What is read of an engine's refusal.
const REFUSAL: usize = 64 << 10;
/// The longest line of a pull's progress.
const LONGEST_LINE: usize = 1 << 20;

/// The log of a container that has a terminal. `host` is the engine's, `version` that of its API.
pub(super) async fn logs(
    host: &str,
    version: &str,
    id: &str,
    options: &LogOptions,
) -> Result<BoxStream<'static, Result<Bytes, RuntimeError>>, RuntimeError> {
    let request = Request::get(format!("/v{version}/containers/{id}/logs?{}", query(options)));
    let (connection, pieces) = connect(host, request).await?;
    let next = |(connection, mut pieces): (AbortOnDropHandle<()>, BodyDataStream<Incoming>)| async move {
        let piece = pieces.next().await?;
        Some((piece.map_err(away), (connection, pieces)))
    };
    Ok(stream::unfold((connection, pieces), next).boxed())
}

/// Fetches an image.
pub(super) async fn pull(
    host: &str,
    version: &str,
    reference: &str,
    credentials: &Credentials,
) -> Result<(), RuntimeError> {
    let Credentials { server, username, password, identity_token } = credentials;
    let auth = serde_json::json!({
        "username": username, "password": password, "serveraddress": server, "identitytoken": identity_token,
    });
    let request = Request::post(format!("/v{version}/images/create?fromImage={}", escaped(reference)))
        .header("X-Registry-Auth", URL_SAFE.encode(auth.to_string()));
    let (_connection, mut pieces) = connect(host, request).await?;
    // One object a line; what goes wrong on the way is one of them.
    let mut rest: Vec<u8> = Vec::new();
    while let Some(piece) = pieces.next().await {
        rest.extend_from_slice(&piece.map_err(away)?);
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            progress(&rest.drain(..=end).collect::<Vec<u8>>())?;
        }
        if rest.len() > LONGEST_LINE {
            return Err(RuntimeError::Refused("the engine's answer has no end".to_owned()));
        }
    }
    progress(&rest)
}

fn progress(line: &[u8]) -> Result<(), RuntimeError> {
    let said: Option<serde_json::Value> = serde_json::from_slice(line).ok();
    match said.as_ref().and_then(|said| said["error"].as_str()) {
        Some(error) => Err(RuntimeError::Refused(error.to_owned())),
        None => Ok(()),
    }
}

/// What has a meaning of its own in a query stands as its number.
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._/:".contains(&byte);
    let one = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(one).collect()
}

fn query(options: &LogOptions) -> String {
    let LogOptions { follow, since, tail, timestamps, tty: _ } = options;
    let tail = tail.map_or_else(|| "all".to_owned(), |tail| tail.to_string());
    let since = since.map_or(0, jiff::Timestamp::as_second);
    format!("stdout=true&stderr=true&follow={follow}&since={since}&tail={tail}&timestamps={timestamps}")
}

/// Asks the engine; the answer comes as long as the connection is held.
async fn connect(
    host: &str,
    request: http::request::Builder,
) -> Result<(AbortOnDropHandle<()>, BodyDataStream<Incoming>), RuntimeError> {
    let request = request.header(header::HOST, "docker").body(Empty::new()).map_err(away)?;
    let (connection, answer) = match host.strip_prefix("unix://") {
        Some(socket) => ask(UnixStream::connect(socket).await.map_err(away)?, request).await?,
        None => {
            let address = host.trim_start_matches("tcp://").trim_start_matches("http://").trim_end_matches('/');
            ask(TcpStream::connect(address).await.map_err(away)?, request).await?
        }
    };
    if !answer.status().is_success() {
        return Err(refused(answer).await);
    }
    Ok((connection, BodyDataStream::new(answer.into_body())))
}

async fn ask<S>(
    stream: S,
    request: Request<Empty<Bytes>>,
) -> Result<(AbortOnDropHandle<()>, Response<Incoming>), RuntimeError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(away)?;
    // Its errors reach those who wait for the answer.
    let connection = AbortOnDropHandle::new(tokio::spawn(async move { drop(connection.await) }));
    let answer = sender.send_request(request).await.map_err(away)?;
    Ok((connection, answer))
}

async fn refused(answer: Response<Incoming>) -> RuntimeError {
    let status = answer.status();
    let body = Limited::new(answer.into_body(), REFUSAL).collect().await;
    let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let said: Option<serde_json::Value> = serde_json::from_slice(&body).ok();
    let message = said.as_ref().and_then(|said| said["message"].as_str()).unwrap_or_default().to_owned();
    match status.as_u16() {
        404 => RuntimeError::NotFound(message),
        _ => RuntimeError::Refused(format!("Error response from daemon: {message}")),
    }
}

fn away(error: impl std::fmt::Display) -> RuntimeError {
    RuntimeError::Unavailable(error.to_string())
}

#[cfg(test)]
mod tests;
