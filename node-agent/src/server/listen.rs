//! Calls from the network: accept, TLS, HTTP/1.1 and HTTP/2, an end.
//!
//! The loop is our own because warp serves no TLS.

use std::{io, sync::Arc, time::Duration};

use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{
        conn::auto,
        graceful::{GracefulShutdown, Watcher},
    },
    service::TowerToHyperService,
};
use rustls::ServerConfig;
use tokio::{
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};
use warp::{Filter as _, path::FullPath, reply::Response};

use super::{View, answer, authn};

/// How long a caller may take for the handshake, and for the headers of a call.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
const HEADERS_WITHIN: Duration = Duration::from_secs(30);
/// How long open calls may go on after the agent was told to stop. Who follows a log calls again.
const DRAIN_WITHIN: Duration = Duration::from_secs(2);
/// Pause after a failed accept, such as when all file descriptors are in use.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `stop`, then lets open calls end.
pub async fn serve(view: Arc<dyn View>, listener: TcpListener, tls: ServerConfig, stop: &CancellationToken) {
    if let Ok(address) = listener.local_addr() {
        info!(%address, "serving the API server");
    }
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let graceful = GracefulShutdown::new();
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((stream, _)) => {
                tokio::spawn(connection(view.clone(), acceptor.clone(), stream, graceful.watcher()));
            }
            Err(error) => {
                warn!(%error, "accept failed");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    if timeout(DRAIN_WITHIN, graceful.shutdown()).await.is_err() {
        debug!("some calls did not end in time");
    }
}

async fn connection(view: Arc<dyn View>, acceptor: TlsAcceptor, stream: TcpStream, watcher: Watcher) {
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "TCP_NODELAY refused");
    }
    let handshake = timeout(HANDSHAKE_WITHIN, acceptor.accept(stream)).await;
    let stream = match handshake.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
        Ok(stream) => stream,
        Err(error) => return debug!(%error, "TLS handshake failed"),
    };
    let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let permit = Arc::new(authn::permit(certificate));

    let query = warp::query::raw().or(warp::any().map(String::new)).unify();
    let calls = warp::method().and(warp::path::full()).and(query).then(move |method, path: FullPath, query: String| {
        let (view, permit) = (view.clone(), permit.clone());
        async move { respond(view, &permit, &method, path.as_str(), &query).await }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADERS_WITHIN);
    builder.http2().timer(TokioTimer::new());
    let service = TowerToHyperService::new(warp::service(calls));
    let serving = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned();
    if let Err(error) = watcher.watch(serving).await {
        debug!(%error, "connection broke");
    }
}

async fn respond(
    view: Arc<dyn View>,
    permit: &Result<(), String>,
    method: &http::Method,
    path: &str,
    query: &str,
) -> Response {
    match permit {
        Ok(()) => answer::answer(&*view, method, path, query).await,
        Err(user) => {
            warn!(user, path, "call refused");
            answer::forbidden(user, method, path)
        }
    }
}
