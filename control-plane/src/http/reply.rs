//! What goes back to a client, independent of how it travels.
//!
//! In: a status code, headers, and a body that is whole or still growing. Out: a warp response
//! for the network, or a plain `http` response for in-process clients. Never looks at requests.

use std::{
    pin::Pin,
    sync::Mutex,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures::{Stream, StreamExt, stream::BoxStream};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use nodeplane_api::status::Status;
use serde_json::Value;
use warp::Reply as _;

/// The error of a body whose source broke off; the connection is then reset, so that the client
/// does not mistake the rest for a complete answer.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// Bytes of all warnings of an answer (upstream's `truncateAtTotalRunes`).
const WARNING_BYTES: usize = 4096;

/// An answer.
pub struct Reply {
    /// HTTP status code.
    pub status: StatusCode,
    /// Headers besides those of the transport.
    pub headers: HeaderMap,
    /// The body.
    pub body: Body,
}

/// The body of an answer.
pub enum Body {
    /// Complete; sent with its length.
    Whole(Bytes),
    /// Sent piece by piece, each one flushed.
    Growing(BoxStream<'static, Result<Bytes, BodyError>>),
}

impl Reply {
    /// An answer with a complete body.
    pub fn new(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        Self { status, headers, body: Body::Whole(body.into()) }
    }

    /// 200 with a complete body.
    pub fn ok(content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self::new(StatusCode::OK, content_type, body)
    }

    /// A JSON document.
    pub fn json(status: StatusCode, value: &Value) -> Self {
        Self::new(status, "application/json", value.to_string())
    }

    /// A failure as a `metav1.Status` in JSON, which every client reads whatever it asked for; for
    /// a path that does not exist as Go's plain text, from which clients make a Status that names
    /// what they asked for.
    pub fn failure(status: &Status) -> Self {
        if *status == Status::no_such_path() {
            return Self::new(StatusCode::NOT_FOUND, "text/plain; charset=utf-8", "404 page not found\n")
                .with_header(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
        }
        let code = StatusCode::from_u16(status.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut reply = Self::json(code, &status.to_object());
        if let Some(seconds) = status.retry_after() {
            reply.headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        reply
    }

    /// 200 with a body that grows.
    pub fn growing(
        content_type: &'static str,
        body: impl Stream<Item = Result<Bytes, BodyError>> + Send + 'static,
    ) -> Self {
        let mut reply = Self::ok(content_type, Bytes::new());
        reply.body = Body::Growing(body.boxed());
        reply
    }

    /// Adds a header whose value is known to be printable ASCII, and drops it otherwise.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    /// Adds one `Warning` header per sentence (RFC 7234 section 5.5, code 299 as Kubernetes
    /// does). Sentences that cannot stand in a header are dropped; no more come after
    /// [`WARNING_BYTES`], since clients refuse answers with too many headers.
    #[must_use]
    pub fn with_warnings(mut self, warnings: &[String]) -> Self {
        let mut left = WARNING_BYTES;
        for warning in warnings {
            let Some(rest) = left.checked_sub(warning.len()) else { break };
            left = rest;
            let quoted = warning.replace('\\', "\\\\").replace('"', "\\\"");
            if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{quoted}\"")) {
                self.headers.append(header::WARNING, value);
            }
        }
        self
    }

    /// The answer for the network.
    pub fn into_warp(self) -> warp::reply::Response {
        let mut response = match self.body {
            Body::Whole(bytes) => warp::reply::Response::new(bytes.into()),
            Body::Growing(stream) => warp::reply::stream(Exclusive(Mutex::new(stream))).into_response(),
        };
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }

    /// The answer for an in-process client.
    pub fn into_http(self) -> http::Response<BoxBody<Bytes, BodyError>> {
        let body = match self.body {
            Body::Whole(bytes) => Full::new(bytes).map_err(|never| match never {}).boxed(),
            Body::Growing(stream) => {
                let frames = Exclusive(Mutex::new(stream)).map(|piece| piece.map(Frame::data));
                BodyExt::boxed(StreamBody::new(frames))
            }
        };
        let mut response = http::Response::new(body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

/// Makes a stream `Sync`, as bodies must be: it is only ever polled through `&mut`, so the lock
/// is never taken.
struct Exclusive<S>(Mutex<S>);

impl<S: Stream + Unpin> Stream for Exclusive<S> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let stream = self.get_mut().0.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        Pin::new(stream).poll_next(cx)
    }
}
