//! Calls to node agents.
//!
//! In: a Node object and a path. Out: the agent's answer, with a body that may still grow. The
//! agent must show a certificate of the cluster for the node's name; where it listens is what
//! the Node says.

use std::{net::IpAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, header};
use http_body_util::Empty;
use hyper::{Response, body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use nodeplane_api::status::Status;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tracing::debug;

/// How long an agent may take until its answer begins.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// How long it may take to connect.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// Where an agent is, and who it has to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target {
    node: String,
    address: IpAddr,
    port: u16,
}

impl Target {
    /// The agent of a node.
    ///
    /// # Errors
    /// 500 for a node that does not say where its agent is.
    pub(super) fn of(node: &Value, name: &str) -> Result<Self, Status> {
        let status = &node["status"];
        let addresses = status["addresses"].as_array().into_iter().flatten();
        let address = addresses
            .filter(|address| address["type"] == "InternalIP")
            .find_map(|address| address["address"].as_str()?.parse().ok());
        let Some(address) = address else {
            return Err(Status::failure(format!("no preferred addresses found; known addresses: [] (node {name})")));
        };
        let port =
            status["daemonEndpoints"]["kubeletEndpoint"]["Port"].as_u64().and_then(|port| u16::try_from(port).ok());
        let port = port.ok_or_else(|| Status::failure(format!("node {name} does not say where its agent listens")))?;
        Ok(Self { node: name.to_owned(), address, port })
    }
}

/// Calls an agent.
///
/// # Errors
/// 500 in the words of a failed call when there is no answer.
pub(super) async fn get(tls: &Arc<ClientConfig>, target: &Target, path: &str) -> Result<Response<Incoming>, Status> {
    let failed = |why: &str| {
        let host = std::net::SocketAddr::new(target.address, target.port);
        Status::failure(format!("Get \"https://{host}{path}\": {why}"))
    };
    let connected = tokio::time::timeout(CONNECT_WITHIN, connect(tls, target)).await;
    let stream = connected.map_err(|_| failed("dial timeout"))?.map_err(|error| failed(&format!("{error:#}")))?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| failed(&error.to_string()))?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            debug!(%error, "connection to an agent broke");
        }
    });
    let request = Request::get(path).header(header::HOST, &target.node).body(Empty::<Bytes>::new());
    let request = request.map_err(|error| failed(&error.to_string()))?;
    let answer = tokio::time::timeout(ANSWER_WITHIN, sender.send_request(request)).await;
    answer.map_err(|_| failed("no answer in time"))?.map_err(|error| failed(&error.to_string()))
}

async fn connect(
    tls: &Arc<ClientConfig>,
    target: &Target,
) -> anyhow::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let name = ServerName::try_from(target.node.clone())?;
    let stream = TcpStream::connect((target.address, target.port)).await?;
    Ok(TlsConnector::from(tls.clone()).connect(name, stream).await?)
}
