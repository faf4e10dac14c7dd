//! Logs of containers with a terminal: bytes as they are, whatever they are.
//!
//! The client that speaks to the engine otherwise waits for the end of a line, however long, and
//! takes a byte below 3 for the header of a frame. A terminal's log has neither.

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

use crate::pods::runtime::{LogOptions, RuntimeError};

/// What is read of an engine's refusal.
const REFUSAL: usize = 64 << 10;

/// The log of a container that has a terminal. `host` is the engine's, `version` that of its API.
pub(super) async fn logs(
    host: &str,
    version: &str,
    id: &str,
    options: &LogOptions,
) -> Result<BoxStream<'static, Result<Bytes, RuntimeError>>, RuntimeError> {
    let path = format!("/v{version}/containers/{id}/logs?{}", query(options));
    let (connection, answer) = match host.strip_prefix("unix://") {
        Some(socket) => ask(UnixStream::connect(socket).await.map_err(away)?, &path).await?,
        None => {
            let address = host.trim_start_matches("tcp://").trim_start_matches("http://").trim_end_matches('/');
            ask(TcpStream::connect(address).await.map_err(away)?, &path).await?
        }
    };
    if !answer.status().is_success() {
        return Err(refused(answer).await);
    }
    let pieces = BodyDataStream::new(answer.into_body());
    let next = |(connection, mut pieces): (AbortOnDropHandle<()>, BodyDataStream<Incoming>)| async move {
        let piece = pieces.next().await?;
        Some((piece.map_err(away), (connection, pieces)))
    };
    Ok(stream::unfold((connection, pieces), next).boxed())
}

fn query(options: &LogOptions) -> String {
    let LogOptions { follow, since, tail, timestamps } = options;
    let tail = tail.map_or_else(|| "all".to_owned(), |tail| tail.to_string());
    let since = since.map_or(0, jiff::Timestamp::as_second);
    format!("stdout=true&stderr=true&follow={follow}&since={since}&tail={tail}&timestamps={timestamps}")
}

async fn ask<S>(stream: S, path: &str) -> Result<(AbortOnDropHandle<()>, Response<Incoming>), RuntimeError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(away)?;
    // Its errors reach those who wait for the answer.
    let connection = AbortOnDropHandle::new(tokio::spawn(async move { drop(connection.await) }));
    let request = Request::get(path).header(header::HOST, "docker").body(Empty::<Bytes>::new()).map_err(away)?;
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
