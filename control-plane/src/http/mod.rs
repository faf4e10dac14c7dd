//! The API server: TLS, authentication, routing, negotiation and the generic verbs.
//!
//! In: calls with the certificate of whoever made them. Out: replies. One call goes
//! [`authn`] → [`route`] → [`access`](crate::access) → [`verbs`] or one of the documents about the API itself;
//! each step hands its result to the next as a value that only it can make. Nothing here
//! depends on how a call travelled: [`server`] brings those of the network, [`in_process`] those
//! of the controllers. [`bounds`] says how many calls there may be at once and for how long; of each
//! there is an account, in metrics and in the log.

mod account;
pub mod authn;
pub mod body;
pub mod bounds;
pub mod call;
pub mod codec;
mod compress;
mod crew;
pub mod discovery;
pub mod fingerprint;
pub mod health;
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
use nodeplane_metrics::{MEDIA_TYPE, Text};
use rustls::ClientConfig;
use rustls_pki_types::CertificateDer;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use self::{
    account::Account,
    authn::Caller,
    bounds::{Bounds, Gate},
    call::Call,
    health::Health,
    moves::Moves,
    negotiate::Form,
    reply::{Body, Reply},
    route::{About, Route},
};
use crate::{
    access::{Authority, node::Nodes},
    metrics,
    registry::{Registry, engine::Engine, objects::Objects},
    tokens::Tokens,
};

/// How long a client may take to send a body.
const BODY_WITHIN: Duration = Duration::from_secs(30);

/// What `/` tells of.
const PATHS: [&str; 11] = [
    "/.well-known/openid-configuration",
    "/api",
    "/apis",
    "/healthz",
    "/livez",
    "/metrics",
    "/openapi/v2",
    "/openapi/v3",
    "/openid/v1/jwks",
    "/readyz",
    "/version",
];

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
    /// Says that the server is about to end: `/readyz` fails, everything else goes on.
    pub closing: CancellationToken,
    /// Ends watches and other long answers; clients outside find no one from now on.
    pub stop: CancellationToken,
    /// How many calls at once, and for how long.
    pub bounds: Bounds,
    /// The places of calls under way.
    pub gate: Gate,
    /// What is known about the server's health.
    pub health: Health,
    /// What the kinds look like.
    pub documents: Arc<openapi::Documents>,
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
            closing: CancellationToken::new(),
            stop: CancellationToken::new(),
            bounds: Bounds::default(),
            gate: Gate::new(&Bounds::default()),
            health: Health::default(),
            documents: Arc::default(),
        }
    }

    /// The same within these bounds.
    #[must_use]
    pub fn within(self, bounds: Bounds) -> Self {
        Self { gate: Gate::new(&bounds), bounds, ..self }
    }

    /// Answers a call of whoever holds this certificate. The call has no body yet: it is read
    /// only when the caller may do what it asks for.
    pub async fn answer(
        &self,
        certificate: Option<&CertificateDer<'_>>,
        call: Call,
        body: impl Future<Output = Result<Bytes, Status>>,
    ) -> Reply {
        self.answer_once_known(certificate, call, body, |_| {}).await
    }

    /// The same, and says who it is before it answers.
    pub async fn answer_once_known(
        &self,
        certificate: Option<&CertificateDer<'_>>,
        mut call: Call,
        body: impl Future<Output = Result<Bytes, Status>>,
        meet: impl FnOnce(&Caller),
    ) -> Reply {
        let audit_id = account::audit_id(&mut call.headers);
        let takes_gzip = compress::is_welcome(&call.headers);
        let caller = match self.stop.is_cancelled() && !is_for_all_times(&call.path) {
            true => Err(ending()),
            false => self.identify(certificate, &call).await.inspect(meet),
        };
        let mut reply = self.answer_when_read(caller, call, body).await;
        if takes_gzip {
            reply = compress::shorten(reply).await;
        }
        reply.headers.insert(account::AUDIT_ID, audit_id);
        reply
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
        self.answer_when_read(Ok(caller), call, std::future::ready(Ok(body))).await
    }

    async fn answer_when_read(
        &self,
        caller: Result<Caller, Status>,
        mut call: Call,
        body: impl Future<Output = Result<Bytes, Status>>,
    ) -> Reply {
        let mut account = Account::open(&call);
        let served = match caller {
            Ok(caller) => self.serve(caller, &mut call, &mut account, body).await,
            Err(status) => Err(status),
        };
        let mut reply = served.unwrap_or_else(|status| {
            if status.code >= 500 && !self.stop.is_cancelled() {
                warn!(method = %call.method, path = call.path, code = status.code, message = status.message, "failed");
            }
            Reply::failure(&status)
        });
        // What says nothing else is as fresh as it gets, and for this caller's eyes.
        reply.headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-cache, private"));
        account.close(&call, reply)
    }

    async fn serve(
        &self,
        caller: Caller,
        call: &mut Call,
        account: &mut Account,
        body: impl Future<Output = Result<Bytes, Status>>,
    ) -> Result<Reply, Status> {
        let caller = impersonation::effective(caller, &call.headers)?;
        let route = match route::find(&call.method, &call.path, &call.query) {
            Ok(route) => route,
            // Who may not come in does not learn which paths exist.
            Err(_) if caller == Caller::anonymous() => return Err(Status::unauthorized()),
            Err(status) => return Err(status),
        };
        account.routed(&route, call);
        let (_place, limit) = match account.goes_on() {
            true => (None, self.bounds.request),
            false => {
                let place = self.gate.enter(account.reads(), &caller);
                (place.inspect_err(|full| account.given_up(full.code))?, self.bounds.deadline(&call.query)?)
            }
        };
        let answer = within(limit, self.carry_out(caller, route, call, body)).await;
        answer.inspect_err(|status| {
            if *status == late() {
                account.given_up(status.code);
            }
        })
    }

    async fn carry_out(
        &self,
        caller: Caller,
        route: Route,
        call: &mut Call,
        body: impl Future<Output = Result<Bytes, Status>>,
    ) -> Result<Reply, Status> {
        let mut reply = match route {
            Route::Resource(request) => {
                let permit = self.authority.permit(caller, request).await?;
                call.body = within(BODY_WITHIN, body).await?;
                verbs::serve(self, &permit, call).await?
            }
            Route::About(about) => {
                self.authority.look(&caller, &route::plain(&call.path), call.method.as_str()).await?;
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
            About::OpenApiIndex => self.documents.index(call).await,
            About::OpenApi(group, version) => self.documents.group(call, group, version),
            About::OpenApiV2 => self.documents.legacy(call).await,
            About::OpenIdConfiguration => openid::configuration(self, call),
            About::OpenIdKeys => openid::keys(self, call),
            About::Version => document(call, &platform::version()),
            About::Root => document(call, &json!({ "paths": PATHS })),
            About::Health { probe, check } => health::answer(self, call, probe, check.as_deref()).await,
            About::Metrics => Ok(Reply::ok(MEDIA_TYPE, self.metrics())),
        }
    }

    fn metrics(&self) -> String {
        let mut text = Text::default();
        metrics::show(&mut text);
        self.gate.show(&mut text);
        let objects = &self.objects;
        metrics::storage::show_objects(&mut text, |kind| objects.cache().count(&objects.collection(kind, "")));
        text.finish()
    }

    /// Whether the server can answer calls on objects.
    pub fn is_ready(&self) -> bool {
        self.objects.cache().is_ready() && !self.is_ending()
    }

    /// Whether the server was told to end.
    fn is_ending(&self) -> bool {
        self.closing.is_cancelled() || self.stop.is_cancelled()
    }
}

/// Whether a path is answered until the very end (upstream's `pathPrefixesExemptFromRetryAfter`).
fn is_for_all_times(path: &str) -> bool {
    ["/readyz", "/livez", "/healthz", "/metrics"].iter().any(|prefix| path.starts_with(prefix))
}

/// 503 for calls that come when the server is about to end.
fn ending() -> Status {
    Status { details: json!({ "retryAfterSeconds": 1 }), ..Status::unavailable("apiserver is shutting down") }
}

/// 504.
fn late() -> Status {
    let words = "Timeout: request did not complete within requested timeout - context deadline exceeded";
    Status { details: serde_json::Value::Null, ..Status::timeout(words, 0) }
}

/// Gives up on what does not begin to answer in time. Whether a write happened is then unknown.
async fn within<T>(limit: Duration, answer: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
    tokio::time::timeout(limit, answer).await.unwrap_or_else(|_| Err(late()))
}

fn document(call: &Call, value: &serde_json::Value) -> Result<Reply, Status> {
    let codec = Form::of_document(call)?;
    Ok(Reply::new(StatusCode::OK, codec.media_type(), codec.encode(value)?))
}
