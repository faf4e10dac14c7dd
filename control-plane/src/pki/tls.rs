//! TLS on both sides of the API server: what it serves with, and how it dials the agents.

use std::{error::Error, sync::Arc};

use rustls::{ClientConfig, RootCertStore, ServerConfig, crypto::CryptoProvider, server::WebPkiClientVerifier};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

use super::{Identity, Pki, PkiError};

impl Pki {
    /// Serves `identity` over HTTP/2 and HTTP/1.1. A client's certificate is verified against
    /// the authority; a client without one gets in, for HTTP to answer 401.
    pub fn server_config(&self, identity: &Identity) -> Result<ServerConfig, PkiError> {
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(self.roots()?), provider());
        let verifier = verifier.allow_unauthenticated().build().map_err(tls)?;
        let (chain, key) = identity.to_der()?;
        let config = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
        let config = config.map_err(tls)?.with_client_cert_verifier(verifier);
        let mut config = config.with_single_cert(chain, key).map_err(tls)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }

    /// Dials servers of this cluster (the agents, with the node's name as server name) as
    /// `identity`. HTTP/1.1, which connection upgrades need.
    pub fn client_config(&self, identity: &Identity) -> Result<ClientConfig, PkiError> {
        let (chain, key) = identity.to_der()?;
        let config = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
        let config = config.map_err(tls)?.with_root_certificates(self.roots()?);
        let mut config = config.with_client_auth_cert(chain, key).map_err(tls)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }

    pub(super) fn roots(&self) -> Result<RootCertStore, PkiError> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.ca_pem.as_bytes()).map_err(tls)?).map_err(tls)?;
        Ok(roots)
    }
}

impl Identity {
    fn to_der(&self) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), PkiError> {
        let certificate = CertificateDer::from_pem_slice(self.cert_pem.as_bytes()).map_err(tls)?;
        let key = PrivateKeyDer::from_pem_slice(self.key_pem.as_bytes()).map_err(tls)?;
        Ok((vec![certificate], key))
    }
}

/// One provider in the whole program, whatever the process default is.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn tls(error: impl Into<Box<dyn Error>>) -> PkiError {
    PkiError::Tls(error.into().to_string())
}
