//! Calls and their answers: one path, one thing to read.

use std::{
    pin::Pin,
    sync::Mutex,
    task::{Context, Poll},
};

use futures::Stream;
use http::{HeaderValue, Method, StatusCode, header::CONTENT_TYPE};
use jiff::Timestamp;
use k8s_openapi::{List, api::core::v1::Pod};
use warp::{Reply as _, reply::Response};

use super::{
    View,
    logs::{LogStream, LogWish},
};
use crate::pods::LogError;

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
/// The version of the text form that Prometheus reads.
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Answers a permitted call.
pub(super) async fn answer(view: &dyn View, method: &Method, path: &str, query: &str) -> Response {
    if method != Method::GET {
        return plain(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET is served here".to_owned());
    }
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    match parts.as_slice() {
        ["healthz"] => match view.complaint() {
            None => plain(StatusCode::OK, TEXT, "ok".to_owned()),
            Some(complaint) => plain(StatusCode::INTERNAL_SERVER_ERROR, TEXT, complaint),
        },
        ["metrics"] => plain(StatusCode::OK, PROMETHEUS, view.metrics().text()),
        ["pods" | "runningpods"] | ["pods" | "runningpods", ""] => pods(view),
        ["containerLogs", which @ ..] => match logs(view, which, query).await {
            Ok(log) => growing(log),
            Err(error) => plain(
                StatusCode::from_u16(error.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
                TEXT,
                error.message,
            ),
        },
        _ => plain(StatusCode::NOT_FOUND, TEXT, format!("there is no {path} here")),
    }
}

/// The answer to somebody who may not call.
pub(super) fn forbidden(user: &str, method: &Method, path: &str) -> Response {
    let words = format!("Forbidden (user={user}, verb={}, path={path})", method.as_str().to_ascii_lowercase());
    plain(StatusCode::FORBIDDEN, TEXT, words)
}

fn pods(view: &dyn View) -> Response {
    let items: Vec<Pod> = view.pods().iter().map(|pod| Pod::clone(pod)).collect();
    match serde_json::to_string(&List { items, ..List::default() }) {
        Ok(text) => plain(StatusCode::OK, JSON, text),
        Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, TEXT, error.to_string()),
    }
}

async fn logs(view: &dyn View, which: &[&str], query: &str) -> Result<LogStream, LogError> {
    view.logs(LogWish::parse(which, query, Timestamp::now())?).await
}

fn plain(status: StatusCode, kind: &'static str, text: String) -> Response {
    let mut response = Response::new(text.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// Every piece is sent when it comes.
fn growing(log: LogStream) -> Response {
    let mut response = warp::reply::stream(Exclusive(Mutex::new(log))).into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(TEXT));
    response
}

/// Makes a stream `Sync`, as bodies must be: it is only ever polled through `&mut`, so the lock is never taken.
struct Exclusive(Mutex<LogStream>);

impl Stream for Exclusive {
    type Item = <LogStream as Stream>::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let stream = self.get_mut().0.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        stream.as_mut().poll_next(cx)
    }
}
