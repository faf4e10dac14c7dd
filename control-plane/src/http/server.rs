//! Calls from the network: accept, TLS, HTTP/1.1 and HTTP/2, drain.
//!
//! In: a bound listener. Out: calls to [`Api::answer_once_known`] of whoever the peer is. The
//! loop is our own because warp serves no TLS; warp turns requests into calls, and sees only
//! one route.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::{Buf, Bytes, BytesMut};
use futures::{Stream, StreamExt};
use http::{HeaderMap, Method};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use nodeplane_api::status::Status;
use rustls::ServerConfig;
use rustls_pki_types::CertificateDer;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};
use warp::{Filter, path::FullPath};

use super::{
    Api,
    authn::Caller,
    call::{BODY_LIMIT, Call, Query},
    reply::Reply,
};
use crate::metrics::requests::HANDSHAKES_FAILED;

/// How long a client may take for the TLS handshake.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);

/// How long a client may take to send the headers of an HTTP/1.1 request, and of any first one.
const HEADERS_WITHIN: Duration = Duration::from_secs(30);

/// Time without a sign of life after which an HTTP/2 client is asked for one, and as much again
/// until it is given up.
const PING_EVERY: Duration = Duration::from_secs(30);

/// Calls that one HTTP/2 connection may have open (upstream's default).
const STREAMS: u32 = 250;

/// Pause after a failed accept, such as when all file descriptors are in use.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What is allowed to clients that have shown neither a certificate nor a token.
#[derive(Clone, Copy, Debug)]
pub(super) struct Strangers {
    /// Their connections; more are closed at once, so that they cannot use up the server's memory and file descriptors.
    pub(super) at_once: usize,
    /// How long a connection is kept after its last answer, so that they cannot use up the places of clients with tokens,
    /// who are strangers at first.
    pub(super) stay: Duration,
}

impl Default for Strangers {
    fn default() -> Self {
        Self { at_once: 256, stay: Duration::from_secs(30) }
    }
}

/// What is known of a connection's peer; travels as a request extension.
#[derive(Clone)]
struct Peer {
    /// The verified certificate.
    certificate: Option<Arc<CertificateDer<'static>>>,
    /// Their place among strangers, until a token says that they are none.
    place: Arc<Mutex<Option<OwnedSemaphorePermit>>>,
    /// When they were last answered, or else came.
    answered: Arc<Mutex<Instant>>,
    from: SocketAddr,
}

impl Peer {
    fn becomes_known(&self) {
        drop(held(&self.place).take());
    }

    fn is_stranger(&self) -> bool {
        held(&self.place).is_some()
    }

    fn is_answered(&self) {
        *held(&self.answered) = Instant::now();
    }

    /// Ends when a stranger has not been answered for so long; never for anybody else.
    async fn overstays(&self, stay: Duration) {
        while self.is_stranger() {
            let until = *held(&self.answered) + stay;
            if until <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(until).await;
        }
        std::future::pending::<()>().await;
    }
}

fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Serves until `api.stop`, then lets open calls end.
pub async fn serve(api: Arc<Api>, listener: TcpListener, tls: Arc<ServerConfig>) {
    serve_with(api, listener, tls, Strangers::default()).await;
}

/// The same, with other limits.
pub(super) async fn serve_with(
    api: Arc<Api>,
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    Strangers { at_once, stay }: Strangers,
) {
    let places = Arc::new(Semaphore::new(at_once));
    let door = Arc::new(Door { acceptor: TlsAcceptor::from(tls), places, stay });
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = api.stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, from)) => {
                connections.spawn(connection(api.clone(), door.clone(), (stream, from)));
            }
            Err(error) => {
                warn!(%error, "accept failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    info!(connections = connections.len(), "draining");
    connections.close();
    // Clients of HTTP/2 are told to call elsewhere, connections without a call end, and no answer
    // takes longer than any answer may.
    if tokio::time::timeout(api.bounds.request, connections.wait()).await.is_err() {
        warn!("some calls did not end in time");
    }
}

/// What all connections come through.
struct Door {
    acceptor: TlsAcceptor,
    /// Those of strangers.
    places: Arc<Semaphore>,
    stay: Duration,
}

async fn connection(api: Arc<Api>, door: Arc<Door>, (stream, from): (TcpStream, SocketAddr)) {
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "TCP_NODELAY refused");
    }
    let handshake = tokio::time::timeout(HANDSHAKE_WITHIN, door.acceptor.accept(stream));
    // Who has not asked for anything yet asks somebody else.
    let Some(handshake) = api.stop.run_until_cancelled(handshake).await else { return };
    let stream = match handshake.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
        Ok(stream) => stream,
        Err(error) => {
            HANDSHAKES_FAILED.inc();
            return debug!(%error, %from, "TLS handshake failed");
        }
    };
    let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let certificate = certificate.map(|certificate| Arc::new(certificate.clone().into_owned()));
    let place = match certificate {
        Some(_) => None,
        None => match door.places.clone().try_acquire_owned() {
            Ok(place) => Some(place),
            Err(_) => return debug!("too many connections without a credential"),
        },
    };
    let (place, answered) = (Arc::new(Mutex::new(place)), Arc::new(Mutex::new(Instant::now())));
    let peer = Peer { certificate, place, answered, from };

    let warp = warp::service(calls(api.clone()));
    let has_asked = Arc::new(AtomicBool::new(false));
    let (asks, caller) = (has_asked.clone(), peer.clone());
    let service = tower::service_fn(move |mut request: http::Request<hyper::body::Incoming>| {
        asks.store(true, Ordering::Relaxed);
        let caller = caller.clone();
        request.extensions_mut().insert(caller.clone());
        let answer = tower::Service::call(&mut warp.clone(), request);
        async move { answer.await.inspect(|_| caller.is_answered()) }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADERS_WITHIN);
    let mut http2 = builder.http2();
    http2.timer(TokioTimer::new()).max_concurrent_streams(STREAMS);
    http2.keep_alive_interval(PING_EVERY).keep_alive_timeout(PING_EVERY);
    let serving =
        builder.serve_connection_with_upgrades(TokioIo::new(stream), TowerToHyperService::new(service)).into_owned();
    let mut serving = std::pin::pin!(serving);
    tokio::select! {
        ended = &mut serving => return tell(ended),
        () = silence(&has_asked, HEADERS_WITHIN) => return debug!("no request came"),
        () = peer.overstays(door.stay) => debug!("a stranger has stayed long enough"),
        () = api.stop.cancelled() => {}
    }
    serving.as_mut().graceful_shutdown();
    // Strangers do not stay by leaving answers unread.
    let unread = async {
        tokio::time::sleep(api.bounds.request).await;
        peer.overstays(door.stay).await;
    };
    tokio::select! {
        ended = &mut serving => tell(ended),
        () = unread => debug!("a stranger does not go"),
    }
}

fn tell<E: std::fmt::Display>(ended: Result<(), E>) {
    if let Err(error) = ended {
        debug!(%error, "connection broke");
    }
}

/// Ends when no request has come in time; never when one has.
async fn silence(has_asked: &AtomicBool, patience: Duration) {
    tokio::time::sleep(patience).await;
    if has_asked.load(Ordering::Relaxed) {
        std::future::pending::<()>().await;
    }
}

/// The one route: any request becomes a call.
fn calls(api: Arc<Api>) -> impl Filter<Extract = (warp::reply::Response,), Error = warp::Rejection> + Clone {
    let query = warp::query::raw().or(warp::any().map(String::new)).unify();
    warp::method()
        .and(warp::path::full())
        .and(query)
        .and(warp::header::headers_cloned())
        .and(warp::ext::get::<Peer>())
        .and(warp::body::stream())
        .then(move |method, path, query, headers, peer, body| {
            let api = api.clone();
            async move { respond(&api, method, path, query, headers, peer, body).await.into_warp() }
        })
}

async fn respond<B: Buf>(
    api: &Api,
    method: Method,
    path: FullPath,
    query: String,
    headers: HeaderMap,
    peer: Peer,
    body: impl Stream<Item = Result<B, warp::Error>>,
) -> Reply {
    let (path, query) = (path.as_str().to_owned(), Query::parse(&query));
    let call = Call { method, path, query, headers, body: Bytes::new(), from: Some(peer.from) };
    let meet = |caller: &Caller| {
        if *caller != Caller::anonymous() {
            peer.becomes_known();
        }
    };
    api.answer_once_known(peer.certificate.as_deref(), call, collect(body), meet).await
}

/// Reads a body up to the limit; nothing larger is ever held in memory.
async fn collect<B: Buf>(body: impl Stream<Item = Result<B, warp::Error>>) -> Result<Bytes, Status> {
    let mut body = std::pin::pin!(body);
    let mut collected = BytesMut::new();
    while let Some(piece) = body.next().await {
        let mut piece = piece.map_err(|error| Status::bad_request(error.to_string()))?;
        if collected.len() + piece.remaining() > BODY_LIMIT {
            return Err(Status::too_large(BODY_LIMIT as u64));
        }
        let bytes = piece.copy_to_bytes(piece.remaining());
        collected.extend_from_slice(&bytes);
    }
    Ok(collected.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_connection_that_asks_nothing_is_closed_and_one_that_asked_is_not() {
        silence(&AtomicBool::new(false), Duration::ZERO).await;
        let asked = AtomicBool::new(true);
        let mut kept = std::pin::pin!(silence(&asked, Duration::ZERO));
        tokio::time::sleep(Duration::from_millis(5)).await;
        assert!(futures::poll!(&mut kept).is_pending());
    }
}
