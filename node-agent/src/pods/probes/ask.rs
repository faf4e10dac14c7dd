//! One question to a container (kubelet `prober`, `pkg/probe`).

use std::{net::Ipv4Addr, time::Duration};

use k8s_openapi::{
    api::core::v1::{Container, Probe, TCPSocketAction},
    apimachinery::pkg::util::intstr::IntOrString,
};
use tokio::net::TcpStream;

use super::{grpc, http};
use crate::pods::runtime::{ContainerRuntime, RuntimeError};

/// Why a question was not answered well.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::pods) enum Unwell {
    /// The container is not as it should be.
    #[error("{0}")]
    Failed(String),
    /// It could not be asked, which says nothing about it.
    #[error("{0}")]
    Errored(String),
}

/// What came of a question.
pub(in crate::pods) type Answer = Result<(), Unwell>;

/// Asks what a probe says.
pub(super) async fn probe(
    probe: &Probe,
    runtime: &dyn ContainerRuntime,
    id: &str,
    container: &Container,
    address: Option<Ipv4Addr>,
    timeout: Duration,
) -> Answer {
    if let Some(action) = &probe.exec {
        return exec(runtime, id, action.command.as_deref().unwrap_or_default(), timeout).await;
    }
    let Some(address) = address else { return Err(Unwell::Errored("the pod has no address".to_owned())) };
    let asked = async {
        if let Some(action) = &probe.http_get {
            http::get(action, container, address).await
        } else if let Some(action) = &probe.tcp_socket {
            tcp(action, container, address).await
        } else if let Some(action) = &probe.grpc {
            grpc::check(action, address).await
        } else {
            Err(Unwell::Errored(format!("missing probe handler for {}", container.name)))
        }
    };
    let late = || Err(Unwell::Failed("context deadline exceeded".to_owned()));
    tokio::time::timeout(timeout, asked).await.unwrap_or_else(|_| late())
}

/// Whether a command in the container ends with 0.
pub(in crate::pods) async fn exec(
    runtime: &dyn ContainerRuntime,
    container: &str,
    command: &[String],
    timeout: Duration,
) -> Answer {
    match runtime.exec(container, command, timeout).await {
        Ok(result) if result.code == 0 => Ok(()),
        Ok(result) => Err(Unwell::Failed(result.output)),
        Err(error @ RuntimeError::TimedOut(_)) => Err(Unwell::Failed(error.to_string())),
        Err(error) => Err(Unwell::Errored(error.to_string())),
    }
}

/// Whether somebody takes a connection.
async fn tcp(action: &TCPSocketAction, container: &Container, pod: Ipv4Addr) -> Answer {
    let host = action.host.clone().filter(|host| !host.is_empty()).unwrap_or_else(|| pod.to_string());
    connect(&host, port(&action.port, container)?).await.map(drop).map_err(Unwell::Failed)
}

/// A connection, or why there is none, as Go says it.
pub(super) async fn connect(host: &str, port: u16) -> Result<TcpStream, String> {
    let stream = TcpStream::connect((host, port)).await;
    stream.map_err(|error| format!("dial tcp {host}:{port}: connect: {}", words(&error)))
}

/// A port by number or by the name that the container gives it.
pub(super) fn port(port: &IntOrString, container: &Container) -> Result<u16, Unwell> {
    let invalid = |text: &str| Unwell::Errored(format!("invalid port number: {text}"));
    match port {
        IntOrString::Int(number) => u16::try_from(*number).map_err(|_| invalid(&number.to_string())),
        IntOrString::String(name) => {
            let named = container.ports.iter().flatten().find(|port| port.name.as_deref() == Some(name));
            let number = named.map(|port| port.container_port).or_else(|| name.parse().ok());
            number
                .and_then(|number| u16::try_from(number).ok())
                .ok_or_else(|| Unwell::Errored(format!("couldn't find port: {name} in container {}", container.name)))
        }
    }
}

/// The kernel's words, as Go writes them.
fn words(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        std::io::ErrorKind::HostUnreachable => "no route to host".to_owned(),
        std::io::ErrorKind::NetworkUnreachable => "network is unreachable".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests;
