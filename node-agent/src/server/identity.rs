//! Who this node is to those who call it: the certificate of its kubeconfig, which is one for servers as well.

use std::{fs, io, path::Path, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use kube::config::{Kubeconfig, KubeconfigError};
use rustls::{RootCertStore, ServerConfig, crypto::ring, server::WebPkiClientVerifier};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use serde_json::Value;

/// Why the node cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The kubeconfig cannot be read.
    #[error(transparent)]
    Kubeconfig(#[from] Box<KubeconfigError>),
    /// It names another file that cannot be read.
    #[error("{path}: {source}")]
    File {
        /// Which file.
        path: String,
        /// Why not.
        source: io::Error,
    },
    /// It has no certificate, or an unusable one.
    #[error("the kubeconfig {0}")]
    Unusable(String),
}

/// Serves with the client certificate of a kubeconfig, for callers with a certificate of the cluster's authority;
/// others do not get through the handshake.
///
/// # Errors
/// The kubeconfig is not one of a node.
pub fn tls(kubeconfig: &Path) -> Result<ServerConfig, IdentityError> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).map_err(Box::new)?;
    // As JSON, because the key is hidden in the typed form.
    let kubeconfig = serde_json::to_value(&kubeconfig).map_err(|error| unusable(&error))?;
    let context = entry(&kubeconfig, "contexts", &kubeconfig["current-context"], "context")?;
    let cluster = entry(&kubeconfig, "clusters", &context["cluster"], "cluster")?;
    let user = entry(&kubeconfig, "users", &context["user"], "user")?;
    let authority = pem(cluster, "certificate-authority")?;
    let chain = pem(user, "client-certificate")?;
    let key = pem(user, "client-key")?;

    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(&authority)?), provider.clone());
    let verifier = verifier.build().map_err(|error| unusable(&error))?;
    let chain: Vec<_> =
        CertificateDer::pem_slice_iter(&chain).collect::<Result<_, _>>().map_err(|error| unusable(&error))?;
    let key = PrivateKeyDer::from_pem_slice(&key).map_err(|error| unusable(&error))?;
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|error| unusable(&error))?.with_client_cert_verifier(verifier);
    let mut config = config.with_single_cert(chain, key).map_err(|error| unusable(&error))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn roots(authority: &[u8]) -> Result<RootCertStore, IdentityError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(authority) {
        roots.add(certificate.map_err(|error| unusable(&error))?).map_err(|error| unusable(&error))?;
    }
    Ok(roots)
}

/// The entry of a list that has a name.
fn entry<'a>(kubeconfig: &'a Value, list: &str, name: &Value, field: &str) -> Result<&'a Value, IdentityError> {
    let mut entries = kubeconfig[list].as_array().into_iter().flatten();
    let found = entries.find(|entry| entry["name"] == *name && name.is_string());
    found.map(|entry| &entry[field]).ok_or_else(|| IdentityError::Unusable(format!("has no {field} named {name}")))
}

/// What stands in a field, or in the file that it names.
fn pem(entry: &Value, field: &str) -> Result<Vec<u8>, IdentityError> {
    if let Some(data) = entry[format!("{field}-data")].as_str() {
        return STANDARD.decode(data).map_err(|error| unusable(&error));
    }
    let Some(path) = entry[field].as_str() else {
        return Err(IdentityError::Unusable(format!("has no {field}: it is not one of a node")));
    };
    fs::read(path).map_err(|source| IdentityError::File { path: path.to_owned(), source })
}

fn unusable(error: &dyn std::error::Error) -> IdentityError {
    IdentityError::Unusable(format!("cannot be used to serve: {error}"))
}
