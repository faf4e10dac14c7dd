//! An account of each call: what it asked for, how it ended, how long it took.
//!
//! In: a call, its route, its reply. Out: metrics, and one line in the log: at `debug`, or at `warn`
//! when the call was slow. An answer that goes on is accounted for when it ends. Changes nothing
//! about a call or a reply.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::{Stream, StreamExt, stream::BoxStream};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use nodeplane_api::kinds::{Subresource, Verb};
use tracing::{Level, debug, enabled, warn};

use super::{
    call::{Call, Query},
    reply::{Body, BodyError, Reply},
    route::{About, Route},
    verbs,
};
use crate::{
    access::Request,
    metrics::requests::{self, Asked},
};

/// By which a call is found again in the log, and by whoever made it.
pub(super) const AUDIT_ID: HeaderName = HeaderName::from_static("audit-id");

/// From when on a call is slow, as in upstream's traces.
const SLOW: Duration = Duration::from_millis(500);

/// Parts of objects whose answers go on for as long as the client likes.
const STREAMS: [&str; 5] = ["attach", "exec", "log", "portforward", "proxy"];

/// Bytes of an audit ID that the log shows.
const SHOWN: usize = 64;

/// A call that is being answered.
pub(super) struct Account {
    since: Instant,
    asked: Asked,
    goes_on: bool,
    reads: bool,
}

impl Account {
    /// A call that has just come.
    pub(super) fn open(call: &Call) -> Self {
        let verb = requests::METHODS.into_iter().find(|known| *known == call.method.as_str()).unwrap_or("other");
        let verb = if verb == "HEAD" { "GET" } else { verb };
        Self { since: Instant::now(), asked: Asked { verb, ..Asked::default() }, goes_on: false, reads: true }
    }

    /// It has been found out what the call is about.
    pub(super) fn routed(&mut self, route: &Route, call: &Call) {
        self.asked.dry_run = dry_run(&call.query);
        match route {
            Route::Resource(request) => self.is_about(request, call),
            Route::About(about) => self.asked.subresource = path(about),
        }
    }

    fn is_about(&mut self, request: &Request, call: &Call) {
        let kind = request.kind;
        self.asked.group = kind.group;
        self.asked.version = kind.version;
        self.asked.resource = kind.plural;
        self.asked.subresource = request.subresource.map_or("", Subresource::name);
        self.asked.scope = match request {
            _ if request.name.is_some() || request.verb == Verb::Create => "resource",
            _ if request.namespace.is_some() => "namespace",
            _ => "cluster",
        };
        let is_stream = STREAMS.contains(&self.asked.subresource);
        self.asked.verb = match request.verb {
            _ if is_stream => "CONNECT",
            Verb::Watch => "WATCH",
            Verb::List => "LIST",
            Verb::Patch if verbs::is_apply(call) => "APPLY",
            _ => self.asked.verb,
        };
        self.goes_on = is_stream || request.verb == Verb::Watch;
        self.reads = request.is_read();
    }

    /// Whether the answer goes on for as long as the client likes.
    pub(super) fn goes_on(&self) -> bool {
        self.goes_on
    }

    /// Whether the call changes nothing.
    pub(super) fn reads(&self) -> bool {
        self.reads
    }

    /// The call is given up, or not even begun, to protect the server.
    pub(super) fn given_up(&self, code: u16) {
        requests::given_up(&self.asked, code);
    }

    /// The call is answered by this. Gives the reply back, with an eye on its body if that goes on.
    pub(super) fn close(self, call: &Call, mut reply: Reply) -> Reply {
        let code = reply.status.as_u16();
        reply.body = match reply.body {
            Body::Whole(bytes) => {
                let took = self.since.elapsed();
                requests::answered(&self.asked, code, bytes.len(), took);
                log(&self.asked, call, code, took);
                Body::Whole(bytes)
            }
            Body::Growing(stream) => Body::Growing(self.follow(call, code, stream)),
        };
        reply
    }

    fn follow(
        self,
        call: &Call,
        code: u16,
        stream: BoxStream<'static, Result<Bytes, BodyError>>,
    ) -> BoxStream<'static, Result<Bytes, BodyError>> {
        let calls = requests::calls(&self.asked);
        calls.began();
        let line = enabled!(Level::DEBUG).then(|| Line::of(&self.asked, call));
        let end = OnDrop(Some(move || {
            let took = self.since.elapsed();
            calls.ended(code, took);
            if let Some(line) = line {
                line.write(code, took);
            }
        }));
        watched(stream, end).boxed()
    }
}

/// The stream, and what lives as long as it.
fn watched<S: Stream + Unpin>(mut stream: S, end: impl Send) -> impl Stream<Item = S::Item> {
    futures::stream::poll_fn(move |context| {
        let _end = &end;
        stream.poll_next_unpin(context)
    })
}

struct OnDrop<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        if let Some(end) = self.0.take() {
            end();
        }
    }
}

fn log(asked: &Asked, call: &Call, code: u16, took: Duration) {
    if took >= SLOW {
        let Line { verb, uri, user_agent, audit_id, from } = Line::of(asked, call);
        let from = from.map(tracing::field::display);
        warn!(verb, "URI" = uri, latency = ?took, "userAgent" = user_agent, "audit-ID" = audit_id, "srcIP" = from, resp = code, "slow");
    } else if enabled!(Level::DEBUG) {
        Line::of(asked, call).write(code, took);
    }
}

/// A call as the log shows it, in the words of upstream's.
struct Line {
    verb: &'static str,
    uri: String,
    user_agent: String,
    audit_id: String,
    from: Option<SocketAddr>,
}

impl Line {
    fn of(asked: &Asked, call: &Call) -> Self {
        let raw = call.query.raw();
        let uri = if raw.is_empty() { call.path.clone() } else { format!("{}?{raw}", call.path) };
        let audit_id = call.header(&AUDIT_ID);
        Self {
            verb: asked.verb,
            uri,
            user_agent: call.header(&header::USER_AGENT).to_owned(),
            audit_id: audit_id.chars().take(SHOWN).collect(),
            from: call.from,
        }
    }

    fn write(self, code: u16, took: Duration) {
        let Self { verb, uri, user_agent, audit_id, from } = self;
        let from = from.map(tracing::field::display);
        debug!(verb, "URI" = uri, latency = ?took, "userAgent" = user_agent, "audit-ID" = audit_id, "srcIP" = from, resp = code, "HTTP");
    }
}

/// The ID of a call: the client's own, or a new one, which is then among the call's headers, too.
pub(super) fn audit_id(headers: &mut HeaderMap) -> HeaderValue {
    let new = || {
        let id = uuid::Builder::from_random_bytes(rand::random()).into_uuid().to_string();
        HeaderValue::try_from(id).expect("hexadecimal digits and hyphens may stand in a header")
    };
    match headers.get(AUDIT_ID).filter(|id| !id.is_empty()) {
        Some(id) => id.clone(),
        None => {
            let id = new();
            headers.insert(AUDIT_ID, id.clone());
            id
        }
    }
}

/// What the values of `dryRun` come to.
fn dry_run(query: &Query) -> &'static str {
    let mut values = query.all("dryRun").filter(|value| !value.is_empty());
    match values.next() {
        None => "",
        Some("All") if values.all(|value| value == "All") => "All",
        Some(_) => "invalid",
    }
}

/// The path of what is not about objects, without what a client may choose.
fn path(about: &About) -> &'static str {
    match about {
        About::CoreVersions => "/api",
        About::Groups => "/apis",
        About::Group(_) | About::Resources(..) => "",
        About::OpenApiIndex | About::OpenApi(..) => "/openapi/v3",
        About::OpenApiV2 => "/openapi/v2",
        About::OpenIdConfiguration => "/.well-known/openid-configuration",
        About::OpenIdKeys => "/openid/v1/jwks",
        About::Version => "/version",
        About::Health { probe: "healthz", .. } => "/healthz",
        About::Health { probe: "livez", .. } => "/livez",
        About::Health { .. } => "/readyz",
        About::Metrics => "/metrics",
        About::Root => "/",
    }
}

#[cfg(test)]
mod tests;
