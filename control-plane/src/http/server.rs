//! Calls from the network: accept, TLS, HTTP/1.1 and HTTP/2, drain.
//!
//! In: a bound listener. Out: calls to [`Api::answer`] with the peer's verified certificate. The
//! loop is our own because warp serves no TLS; warp turns requests into calls, and sees only
//! one route.

use std::{io, sync::Arc, time::Duration};

use bytes::{Buf, Bytes, BytesMut};
use futures::{Stream, StreamExt};
use http::{HeaderMap, Method};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use nodeplane_api::status::Status;
use rustls::ServerConfig;
use rustls_pki_types::CertificateDer;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tracing::{debug, info, warn};
use warp::{Filter, path::FullPath};

use super::{
    Api,
    call::{BODY_LIMIT, Call, Query},
    reply::Reply,
};

/// How long a client may take for the TLS handshake.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);

/// How long a client may take to send the headers of an HTTP/1.1 request.
const HEADERS_WITHIN: Duration = Duration::from_secs(30);

/// How long open calls may go on after the server was told to stop.
const DRAIN_WITHIN: Duration = Duration::from_secs(10);

/// Pause after a failed accept, such as when all file descriptors are in use.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The verified certificate of a connection's peer; travels as a request extension.
#[derive(Clone)]
struct Peer(Option<Arc<CertificateDer<'static>>>);

/// Serves until `api.stop`, then lets open calls end.
pub async fn serve(api: Arc<Api>, listener: TcpListener, tls: Arc<ServerConfig>) {
    let acceptor = TlsAcceptor::from(tls);
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = api.stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, _)) => {
                let watcher = graceful.watcher();
                tokio::spawn(connection(api.clone(), acceptor.clone(), stream, watcher));
            }
            Err(error) => {
                warn!(%error, "accept failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    info!(connections = graceful.count(), "draining");
    if tokio::time::timeout(DRAIN_WITHIN, graceful.shutdown()).await.is_err() {
        warn!("some calls did not end in time");
    }
}

async fn connection(
    api: Arc<Api>,
    acceptor: TlsAcceptor,
    stream: TcpStream,
    watcher: hyper_util::server::graceful::Watcher,
) {
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "TCP_NODELAY refused");
    }
    let handshake = tokio::time::timeout(HANDSHAKE_WITHIN, acceptor.accept(stream)).await;
    let stream = match handshake.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
        Ok(stream) => stream,
        Err(error) => return debug!(%error, "TLS handshake failed"),
    };
    let peer = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let peer = Peer(peer.map(|certificate| Arc::new(certificate.clone().into_owned())));

    let warp = warp::service(calls(api));
    let service = tower::service_fn(move |mut request: http::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(peer.clone());
        tower::Service::call(&mut warp.clone(), request)
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADERS_WITHIN);
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(1000);
    let serving =
        builder.serve_connection_with_upgrades(TokioIo::new(stream), TowerToHyperService::new(service)).into_owned();
    if let Err(error) = watcher.watch(serving).await {
        debug!(%error, "connection broke");
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
    match collect(body).await {
        Ok(body) => {
            let call = Call { method, path: path.as_str().to_owned(), query: Query::parse(&query), headers, body };
            api.answer(peer.0.as_deref(), call).await
        }
        Err(status) => Reply::failure(&status),
    }
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
