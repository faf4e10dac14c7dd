//! One question to a container.

use std::{net::Ipv4Addr, time::Duration};

use http_body_util::Empty;
use hyper::{Request, Uri, header};
use hyper_util::rt::TokioIo;
use k8s_openapi::{
    api::core::v1::{Container, HTTPGetAction, TCPSocketAction},
    apimachinery::pkg::util::intstr::IntOrString,
};
use tokio::net::TcpStream;

use crate::pods::runtime::ContainerRuntime;

/// As whom probes introduce themselves.
const USER_AGENT: &str = "kube-probe/1.33";

/// Whether a command in the container ends with 0.
pub(in crate::pods) async fn exec(
    runtime: &dyn ContainerRuntime,
    container: &str,
    command: &[String],
    timeout: Duration,
) -> Result<(), String> {
    match runtime.exec(container, command, timeout).await {
        Ok(result) if result.code == 0 => Ok(()),
        Ok(result) => Err(result.output),
        Err(error) => Err(error.to_string()),
    }
}

/// Whether somebody takes a connection.
pub(in crate::pods) async fn tcp(probe: &TCPSocketAction, container: &Container, pod: Ipv4Addr) -> Result<(), String> {
    let host = probe.host.clone().filter(|host| !host.is_empty()).unwrap_or_else(|| pod.to_string());
    let port = port(&probe.port, container)?;
    match TcpStream::connect((host.as_str(), port)).await {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("dial tcp {host}:{port}: connect: {}", words(&error))),
    }
}

/// Whether a GET is answered with 200 to 399. Redirects are answers, they are not followed.
pub(in crate::pods) async fn http(probe: &HTTPGetAction, container: &Container, pod: Ipv4Addr) -> Result<(), String> {
    if probe.scheme.as_deref() == Some("HTTPS") {
        return Err("HTTPS probes are not supported on this node".to_owned());
    }
    let host = probe.host.clone().filter(|host| !host.is_empty()).unwrap_or_else(|| pod.to_string());
    let port = port(&probe.port, container)?;
    let path = probe.path.clone().unwrap_or_else(|| "/".to_owned());
    let path = if path.starts_with('/') { path } else { format!("/{path}") };
    let url = format!("http://{host}:{port}{path}");
    let failed = |error: &dyn std::fmt::Display| format!("Get \"{url}\": {error}");
    let stream = TcpStream::connect((host.as_str(), port))
        .await
        .map_err(|error| format!("Get \"{url}\": dial tcp {host}:{port}: connect: {}", words(&error)))?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| failed(&error))?;
    let connection = tokio::spawn(connection);
    let uri: Uri = path.parse().map_err(|error| failed(&error))?;
    let mut request = Request::get(uri);
    let headers = probe.http_headers.as_deref().unwrap_or_default();
    let given = |name: &str| headers.iter().any(|header| header.name.eq_ignore_ascii_case(name));
    if !given("host") {
        request = request.header(header::HOST, format!("{host}:{port}"));
    }
    if !given("user-agent") {
        request = request.header(header::USER_AGENT, USER_AGENT);
    }
    if !given("accept") {
        request = request.header(header::ACCEPT, "*/*");
    }
    for given in headers {
        request = request.header(&given.name, &given.value);
    }
    let request = request
        .header(header::CONNECTION, "close")
        .body(Empty::<bytes::Bytes>::new())
        .map_err(|error| failed(&error))?;
    let answer = sender.send_request(request).await;
    connection.abort();
    let code = answer.map_err(|error| failed(&error))?.status().as_u16();
    if (200..400).contains(&code) { Ok(()) } else { Err(format!("HTTP probe failed with statuscode: {code}")) }
}

fn port(port: &IntOrString, container: &Container) -> Result<u16, String> {
    let invalid = |text: &str| format!("couldn't find port: {text}");
    match port {
        IntOrString::Int(number) => u16::try_from(*number).map_err(|_| invalid(&number.to_string())),
        IntOrString::String(name) => {
            let named = container.ports.iter().flatten().find(|port| port.name.as_deref() == Some(name));
            let number = named.map(|port| port.container_port).or_else(|| name.parse().ok());
            number.and_then(|number| u16::try_from(number).ok()).ok_or_else(|| invalid(name))
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
