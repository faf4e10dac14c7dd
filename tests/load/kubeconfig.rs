//! Who the generator is and whom it trusts, read from an administrator's kubeconfig.

use std::{path::Path, sync::Arc};

use anyhow::{Context, Result};
use base64::{Engine, engine::general_purpose::STANDARD};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use serde_json::Value;

/// The parts of a kubeconfig with one cluster and one user.
#[derive(Clone, Debug)]
pub(crate) struct Kubeconfig {
    /// PEM of the authority that signed the server's certificate.
    pub(crate) authority: Vec<u8>,
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Kubeconfig {
    /// Reads a file.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        let whole: Value = serde_yaml::from_str(&text).with_context(|| format!("reading {}", path.display()))?;
        let part = |pointer: &str| -> Result<Vec<u8>> {
            let found = whole.pointer(pointer).and_then(Value::as_str);
            let encoded = found.with_context(|| format!("{} has no {pointer}", path.display()))?;
            Ok(STANDARD.decode(encoded)?)
        };
        Ok(Self {
            authority: part("/clusters/0/cluster/certificate-authority-data")?,
            certificate: part("/users/0/user/client-certificate-data")?,
            key: part("/users/0/user/client-key-data")?,
        })
    }

    /// How to dial the server: HTTP/2 and nothing else, with the user's certificate.
    pub(crate) fn tls(&self) -> Result<Arc<ClientConfig>> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&self.authority) {
            roots.add(certificate?)?;
        }
        let own = CertificateDer::pem_slice_iter(&self.certificate).collect::<Result<Vec<_>, _>>()?;
        let key = PrivateKeyDer::from_pem_slice(&self.key)?;
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let mut config = builder
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_client_auth_cert(own, key)?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Arc::new(config))
    }
}
