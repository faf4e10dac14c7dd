//! A client that reaches the API without a network.
//!
//! In: requests of a `kube::Client`. Out: the same replies as over TLS, by the same steps after
//! authentication: controllers and the scheduler are ordinary clients.

use std::{convert::Infallible, sync::Arc};

use http::{HeaderValue, header::USER_AGENT};
use http_body_util::BodyExt;
use nodeplane_api::status::Status;
use tower::service_fn;

use super::{
    Api,
    authn::Caller,
    call::{BODY_LIMIT, Call, Query},
    reply::Reply,
};
use crate::metrics::errands;

/// A client that calls as the given part of this process, such as `system:kube-scheduler`.
pub fn client(api: &Arc<Api>, component: &str) -> kube::Client {
    let caller = Caller::component(component);
    // Under this name it owns what it writes.
    let name = component.strip_prefix("system:").unwrap_or(component);
    let agent = HeaderValue::from_str(name).unwrap_or(HeaderValue::from_static("nodeplane-server"));
    let api = api.clone();
    let service = service_fn(move |request: http::Request<kube::client::Body>| {
        let (api, caller, agent) = (api.clone(), caller.clone(), agent.clone());
        async move {
            let method = request.method().clone();
            let reply = match read(request).await {
                Ok(mut call) => {
                    call.headers.entry(USER_AGENT).or_insert(agent);
                    api.answer_to(caller, call).await
                }
                Err(status) => Reply::failure(&status),
            };
            errands::run(&method, reply.status.as_u16());
            Ok::<_, Infallible>(reply.into_http())
        }
    });
    kube::Client::new(service, "default")
}

async fn read(request: http::Request<kube::client::Body>) -> Result<Call, Status> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|error| Status::bad_request(error.to_string()))?.to_bytes();
    if body.len() > BODY_LIMIT {
        return Err(Status::too_large(BODY_LIMIT as u64));
    }
    Ok(Call {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        query: Query::parse(parts.uri.query().unwrap_or_default()),
        headers: parts.headers,
        body,
        from: None,
    })
}
