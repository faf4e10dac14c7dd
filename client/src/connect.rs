//! Clients from kubeconfig files.
//!
//! In: the path of a kubeconfig. Out: a [`Client`] with sensible timeouts and the program's own
//! user agent. Never falls back to other places to look for a configuration: what the operator
//! names is what is used, or the error says why not.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use http::{HeaderValue, header::USER_AGENT};
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig, KubeconfigError},
};

/// A server that does not take a connection within this time counts as down.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest silence on a connection. Watches end after 290 s by themselves, so anything
/// longer is a peer that went away without a word.
const READ_TIMEOUT: Duration = Duration::from_secs(310);
/// How long a request may take to be sent.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// Why no client could be made.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The file is missing, unreadable, or not a usable kubeconfig.
    #[error("kubeconfig {path}: {source}")]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<KubeconfigError>,
    },
    /// The certificates or the address in the file cannot be used.
    #[error("kubeconfig {path}: {source}")]
    Client {
        /// The file.
        path: PathBuf,
        /// What is wrong with them.
        source: Box<kube::Error>,
    },
    /// The user agent has characters that HTTP does not allow.
    #[error("user agent {0:?} cannot be sent in a header")]
    UserAgent(String),
}

/// A client for the current context of the kubeconfig at `path`. `user_agent` names the program,
/// such as `nodeplane-agent/0.1.0`. Does not contact the server yet. Must be called inside a
/// tokio runtime.
pub async fn from_kubeconfig(path: &Path, user_agent: &str) -> Result<Client, ConnectError> {
    let unusable = |source| ConnectError::Kubeconfig { path: path.to_owned(), source: Box::new(source) };
    let kubeconfig = Kubeconfig::read_from(path).map_err(unusable)?;
    let mut config =
        Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.map_err(unusable)?;
    let agent = HeaderValue::from_str(user_agent).map_err(|_| ConnectError::UserAgent(user_agent.to_owned()))?;
    config.headers.push((USER_AGENT, agent));
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.read_timeout = Some(READ_TIMEOUT);
    config.write_timeout = Some(WRITE_TIMEOUT);
    // Informers, controllers and the recorder retry by themselves, with state of their own; a
    // retry below them (up to 1000 s) would only hide that the server is away.
    config.default_retry = false;
    Client::try_from(config).map_err(|source| ConnectError::Client { path: path.to_owned(), source: Box::new(source) })
}

#[cfg(test)]
mod tests;
