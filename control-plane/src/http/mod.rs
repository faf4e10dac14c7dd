//! The API server: TLS, authentication, routing, negotiation and the generic verbs.
//!
//! In: calls with the certificate of whoever made them. Out: replies. One call goes
//! [`authn`] → [`route`] → [`access`](crate::access) → [`verbs`] or one of the documents about the API itself;
//! each step hands its result to the next as a value that only it can make. Nothing here
//! depends on how a call travelled: [`server`] brings those of the network, [`in_process`] those
//! of the controllers.

pub mod authn;
pub mod body;
pub mod call;
pub mod codec;
pub mod discovery;
pub mod fingerprint;
mod impersonation;
pub mod in_process;
mod json_text;
pub mod moves;
pub mod negotiate;
pub mod openapi;
mod openid;
pub mod platform;
pub mod reply;
pub mod route;
pub mod server;
pub mod table;
pub mod verbs;

#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderValue, Method, StatusCode,
    header::{AUTHORIZATION, CACHE_CONTROL},
};
use nodeplane_api::status::Status;
use rustls::ClientConfig;
use rustls_pki_types::CertificateDer;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use self::{
    authn::Caller,
    call::Call,
    moves::Moves,
    negotiate::Form,
    platform::Check,
    reply::{Body, Reply},
    route::{About, Route},
};
use crate::{
    access::{Authority, node::Nodes},
    registry::{Registry, engine::Engine, objects::Objects},
    tokens::Tokens,
};

/// How long an answer may take to begin (upstream's `RequestTimeout`).
const REQUEST_WITHIN: Duration = Duration::from_secs(60);

/// How long the store may take to say that it is well (upstream's etcd check).
const STORE_WITHIN: Duration = Duration::from_secs(2);

/// How long a client may take to send a body.
const BODY_WITHIN: Duration = Duration::from_secs(30);

/// All that answers calls.
pub struct Api {
    /// Where objects are.
    pub objects: Objects,
    /// What differs from kind to kind.
    pub registry: Arc<Registry>,
    /// How objects are written.
    pub engine: Engine,
    /// Who may do what.
    pub authority: Authority,
    /// Makes and checks the tokens of service accounts.
    pub tokens: Tokens,
    /// Whether controllers and scheduler run here.
    pub moves: Moves,
    /// Where clients outside reach this server, as `HOST:PORT`.
    pub address: String,
    /// How to reach node agents: the cluster's CA and this server's client certificate.
    pub agents: Arc<ClientConfig>,
    /// Ends watches and other long answers.
    pub stop: CancellationToken,
    /// What the kinds look like.
    pub documents: openapi::Documents,
}

impl Api {
    /// An API over these objects, reached at `address`.
    pub fn new(
        objects: Objects,
        registry: Arc<Registry>,
        address: String,
        agents: Arc<ClientConfig>,
        tokens: Tokens,
    ) -> Self {
        let nodes = Nodes::new(objects.cache().clone(), objects.keys().clone());
        Self {
            engine: Engine::new(objects.clone(), registry.clone()),
            authority: Authority::new(vec![Box::new(nodes)]),
            tokens,
            moves: Moves::default(),
            objects,
            registry,
            address,
            agents,
            stop: CancellationToken::new(),
            documents: openapi::Documents::default(),
        }
    }

    /// Answers a call of whoever holds this certificate. The call has no body yet: it is read
    /// only when the caller may do what it asks for.
    pub async fn answer(
        &self,
        certificate: Option<&CertificateDer<'_>>,
        call: Call,
        body: impl Future<Output = Result<Bytes, Status>>,
    ) -> Reply {
        match self.identify(certificate, &call).await {
            Ok(caller) => self.answer_when_read(caller, call, body).await,
            Err(status) => Reply::failure(&status),
        }
    }

    /// Who makes a call: the holder of the certificate, or of the token in the header.
    ///
    /// # Errors
    /// 401 when a credential was shown that cannot be accepted; what the store says when it cannot
    /// be found out.
    pub async fn identify(&self, certificate: Option<&CertificateDer<'_>>, call: &Call) -> Result<Caller, Status> {
        authn::identify(self, certificate, call.header(&AUTHORIZATION)).await
    }

    /// Answers a call of a known caller.
    pub async fn answer_to(&self, caller: Caller, mut call: Call) -> Reply {
        let body = std::mem::take(&mut call.body);
        self.answer_when_read(caller, call, std::future::ready(Ok(body))).await
    }

    /// Answers a call of a known caller; the body is read only when they may do what they ask for.
    pub async fn answer_when_read(
        &self,
        caller: Caller,
        mut call: Call,
        body: impl Future<Output = Result<Bytes, Status>>,
    ) -> Reply {
        let name = caller.name().to_owned();
        let mut reply = match self.serve(caller, &mut call, body).await {
            Ok(reply) => reply,
            Err(status) => {
                if status.code >= 500 {
                    warn!(method = %call.method, path = call.path, code = status.code, message = status.message, "failed");
                }
                Reply::failure(&status)
            }
        };
        // What says nothing else is as fresh as it gets, and for this caller's eyes.
        reply.headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-cache, private"));
        debug!(caller = name, method = %call.method, path = call.path, code = reply.status.as_u16(), "answered");
        reply
    }

    async fn serve(
        &self,
        caller: Caller,
        call: &mut Call,
        body: impl Future<Output = Result<Bytes, Status>>,
    ) -> Result<Reply, Status> {
        let caller = impersonation::effective(caller, &call.headers)?;
        let route = match route::find(&call.method, &call.path, &call.query) {
            Ok(route) => route,
            // Who may not come in does not learn which paths exist.
            Err(_) if caller == Caller::anonymous() => return Err(Status::unauthorized()),
            Err(status) => return Err(status),
        };
        let mut reply = match route {
            Route::Resource(request) => {
                let permit = self.authority.permit(caller, request).await?;
                call.body = within(BODY_WITHIN, body).await?;
                within(REQUEST_WITHIN, verbs::serve(self, &permit, call)).await?
            }
            Route::About(about) => {
                self.authority.look(&caller, &call.path, call.method.as_str()).await?;
                self.tell(&about, call).await?
            }
        };
        if call.method == Method::HEAD {
            reply.body = Body::Whole(Bytes::new());
        }
        Ok(reply)
    }

    /// Tells about the API itself.
    async fn tell(&self, about: &About, call: &Call) -> Result<Reply, Status> {
        match about {
            About::CoreVersions => discovery::versions(call, true, &self.address),
            About::Groups => discovery::versions(call, false, &self.address),
            About::Group(group) => discovery::group(call, group),
            About::Resources(group, version) => discovery::resources(call, group, version),
            About::OpenApiIndex => self.documents.index(call),
            About::OpenApi(group, version) => self.documents.group(call, group, version),
            About::OpenApiV2 => openapi::legacy::document(call),
            About::OpenIdConfiguration => openid::configuration(self, call),
            About::OpenIdKeys => openid::keys(self, call),
            About::Version => document(call, &platform::version()),
            About::Root => document(
                call,
                &json!({ "paths": [
                    "/.well-known/openid-configuration", "/api", "/apis", "/healthz", "/livez", "/openapi/v2",
                    "/openapi/v3", "/openid/v1/jwks", "/readyz", "/version",
                ] }),
            ),
            About::Health { probe, check } => {
                platform::health(call, probe, check.as_deref(), &self.checks(probe).await)
            }
        }
    }

    /// Whether the server can answer calls on objects.
    pub fn is_ready(&self) -> bool {
        self.objects.cache().is_ready() && !self.stop.is_cancelled()
    }

    async fn checks(&self, probe: &str) -> Vec<Check> {
        let store = self.objects.check(STORE_WITHIN).await.err().map(|error| error.to_string());
        let mut checks = vec![Check { name: "ping", failure: None }, Check { name: "store", failure: store }];
        if probe != "livez" {
            let cache = self.objects.cache().is_ready();
            checks.push(Check {
                name: "watch-cache",
                failure: (!cache).then(|| "the store has not been listed yet".to_owned()),
            });
        }
        if probe == "readyz" {
            let stopping = self.stop.is_cancelled();
            checks.push(Check { name: "shutdown", failure: stopping.then(|| "process is shutting down".to_owned()) });
        }
        checks
    }
}

/// Gives up on what does not begin to answer in time. Whether a write happened is then unknown.
async fn within<T>(limit: Duration, answer: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
    let words = "Timeout: request did not complete within requested timeout - context deadline exceeded";
    let late = || Status { details: serde_json::Value::Null, ..Status::timeout(words, 0) };
    tokio::time::timeout(limit, answer).await.unwrap_or_else(|_| Err(late()))
}

fn document(call: &Call, value: &serde_json::Value) -> Result<Reply, Status> {
    let codec = Form::of_document(call)?;
    Ok(Reply::new(StatusCode::OK, codec.media_type(), codec.encode(value)?))
}
