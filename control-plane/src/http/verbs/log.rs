//! `log`: a container's output, as the node agent gives it.
//!
//! In: a pod and the parameters of a log. Out: a body that grows for as long as the agent's
//! does. What the agent refuses, the client reads in the agent's words.

use futures::StreamExt;
use http::{StatusCode, header};
use http_body_util::{BodyExt, BodyStream};
use hyper::body::Incoming;
use nodeplane_api::{kinds::Kind, status::Status};
use serde_json::Value;

use super::{
    agent,
    ask::Ask,
    log_options::{self, encode},
};
use crate::{
    http::reply::{BodyError, Reply},
    registry::objects::known,
};

/// The longest refusal that is read from an agent, in bytes.
const REFUSAL_LIMIT: usize = 64 * 1024;

/// Answers with the output of a container of the pod of the path.
///
/// # Errors
/// 400 for a container that the pod does not have, 404, 422 for bad parameters, 500 when the
/// node cannot be reached, and what its agent refuses.
pub(super) async fn stream(ask: &Ask<'_>) -> Result<Reply, Status> {
    let query = &ask.call.query;
    log_options::check(query)?;
    let objects = &ask.api.objects;
    let pod = objects.newest(ask.kind(), ask.namespace(), ask.name()).await?;
    let container = choose(pod.value(), ask.name(), query.text("container"))?;
    let node_name = pod.value()["spec"]["nodeName"].as_str().unwrap_or_default();
    if node_name.is_empty() {
        return Ok(Reply::new(StatusCode::NO_CONTENT, "text/plain", ""));
    }
    let node = objects.newest(known("", "v1", "nodes")?, "", node_name).await?;
    let target = agent::Target::of(node.value(), node_name)?;
    let path = format!(
        "/containerLogs/{}/{}/{}?{}",
        encode(ask.namespace()),
        encode(ask.name()),
        encode(&container),
        log_options::query(query)
    );
    let answer = agent::get(&ask.api.agents, &target, path.trim_end_matches('?')).await?;
    if answer.status() == StatusCode::OK {
        return Ok(pass_on(ask, answer));
    }
    Err(refusal(ask.kind(), ask.name(), answer).await)
}

/// The container whose output is meant.
fn choose(pod: &Value, name: &str, asked: &str) -> Result<String, Status> {
    let names = |list: &str| -> Vec<String> {
        let containers = pod["spec"][list].as_array().into_iter().flatten();
        containers.filter_map(|container| container["name"].as_str().map(str::to_owned)).collect()
    };
    let (apps, inits, others) = (names("containers"), names("initContainers"), names("ephemeralContainers"));
    if !asked.is_empty() {
        return match [&apps, &inits, &others].into_iter().flatten().any(|have| have == asked) {
            true => Ok(asked.to_owned()),
            false => Err(Status::bad_request(format!("container {asked} is not valid for pod {name}"))),
        };
    }
    if let [only] = apps.as_slice() {
        return Ok(only.clone());
    }
    let mut message = format!("a container name must be specified for pod {name}, choose one of: [{}]", apps.join(" "));
    if !inits.is_empty() {
        message.push_str(&format!(" or one of the init containers: [{}]", inits.join(" ")));
    }
    Err(Status::bad_request(message))
}

fn pass_on(ask: &Ask<'_>, answer: hyper::Response<Incoming>) -> Reply {
    let stop = ask.api.stop.clone();
    let pieces = BodyStream::new(answer.into_body()).filter_map(|frame| async {
        match frame {
            Ok(frame) => frame.into_data().ok().map(Ok),
            Err(error) => Some(Err(BodyError::from(error))),
        }
    });
    Reply::growing("text/plain", pieces.take_until(async move { stop.cancelled().await }))
}

/// What an agent refuses, as a status: its own, or one around its words.
async fn refusal(kind: &Kind, name: &str, answer: hyper::Response<Incoming>) -> Status {
    let code = answer.status();
    let is_json = answer
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/json"));
    let body = http_body_util::Limited::new(answer.into_body(), REFUSAL_LIMIT).collect().await;
    let bytes = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes).trim().to_owned();
    let message = match serde_json::from_slice::<Value>(&bytes) {
        Ok(status) if is_json => status["message"].as_str().unwrap_or(&text).to_owned(),
        _ => text,
    };
    match code {
        StatusCode::BAD_REQUEST => Status::bad_request(message),
        StatusCode::NOT_FOUND if message.is_empty() => Status::not_found(kind, name),
        StatusCode::NOT_FOUND => Status { message, ..Status::not_found(kind, name) },
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Status::access_denied(message),
        StatusCode::SERVICE_UNAVAILABLE => Status::unavailable(message),
        _ => Status::internal(message),
    }
}
