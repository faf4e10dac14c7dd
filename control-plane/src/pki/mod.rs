//! The cluster's certificate authority and what it has issued.
//!
//! In: a directory, and who shall be known under which names. Out: identities (certificate and
//! key), kubeconfigs, TLS configurations, the key for tokens, and certificates for those who made
//! their keys themselves. What is on disk is used again as long as it says
//! the right thing, belongs to the authority and is not about to expire. The authority's key is
//! written once and never again. Two processes may have the directory open.

mod certificate;
mod files;
mod kubeconfig;
mod signer;
mod signing_request;
pub(crate) mod subject;
#[cfg(test)]
mod tests;
mod tls;

use std::{
    io,
    path::{Path, PathBuf},
};

use rcgen::{Issuer, KeyPair};
use time::OffsetDateTime;
use tracing::info;

use self::certificate::Request;
pub use self::{
    certificate::San,
    kubeconfig::Kubeconfig,
    signer::{Signer, Terms},
    signing_request::SigningRequest,
};

/// A certificate and its private key, both in PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// The certificate.
    pub cert_pem: String,
    /// Its private key (PKCS #8).
    pub key_pem: String,
}

impl std::fmt::Debug for Identity {
    /// Leaves the key out.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("cert_pem", &self.cert_pem).finish_non_exhaustive()
    }
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// A file or directory could not be used.
    #[error("{path}: {source}")]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The authority on disk is not usable; it is never replaced, since all that it has signed
    /// would be lost.
    #[error("the certificate authority in {dir} is not usable: {reason}")]
    Authority {
        /// Where.
        dir: PathBuf,
        /// Why.
        reason: String,
    },
    /// The key for tokens is not usable; it is never replaced, since all tokens would be lost.
    #[error("{path}: the key for service account tokens is not usable: {reason}")]
    TokenKey {
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A user name that cannot name a file.
    #[error("{0:?} cannot be the name of a user")]
    User(String),
    /// A certificate has room for one organization here.
    #[error("a client certificate names at most one group, not {0}")]
    Groups(usize),
    /// Making a key or a certificate failed.
    #[error("making a certificate: {0}")]
    Issue(#[from] rcgen::Error),
    /// What was asked for is not signed.
    #[error("{0}")]
    Sign(String),
    /// A certificate or key does not fit TLS.
    #[error("TLS: {0}")]
    Tls(String),
}

impl PkiError {
    fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }
}

/// The authority with its directory.
pub struct Pki {
    dir: PathBuf,
    ca_pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Pki {
    /// Opens the authority in `dir` (mode 0700); makes both when they are missing.
    pub fn open(dir: &Path) -> Result<Self, PkiError> {
        files::private_dir(dir)?;
        let _lock = files::lock(dir)?;
        let key = authority_key(dir)?;
        let ca_pem = authority_certificate(dir, &key)?;
        let issuer = Issuer::from_ca_cert_pem(&ca_pem, key)?;
        Ok(Self { dir: dir.to_owned(), ca_pem, issuer })
    }

    /// The authority's certificate in PEM.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The key that signs the tokens of service accounts (`sa.key`); made when it is missing. All
    /// servers of a cluster have the same one.
    pub fn token_key(&self) -> Result<KeyPair, PkiError> {
        let _lock = files::lock(&self.dir)?;
        let path = self.dir.join("sa.key");
        match files::read(&path)? {
            Some(pem) => {
                KeyPair::from_pem(&pem).map_err(|error| PkiError::TokenKey { path, reason: error.to_string() })
            }
            None => {
                let key = certificate::new_key()?;
                files::create(&path, key.serialize_pem().as_bytes())?;
                info!(path = %path.display(), "made a key for service account tokens");
                Ok(key)
            }
        }
    }

    /// The identity under which the API server serves. Another set of names makes a new one.
    pub fn serving(&self, sans: &[San]) -> Result<Identity, PkiError> {
        let request = Request {
            user: "kube-apiserver".to_owned(),
            group: None,
            sans: sans.iter().cloned().collect(),
            client_auth: false,
            server_auth: true,
        };
        self.identity("apiserver", &request)
    }

    /// The identity of a user (common name) in a group (organization), for clients only.
    pub fn client(&self, user: &str, groups: &[&str]) -> Result<Identity, PkiError> {
        if groups.len() > 1 {
            return Err(PkiError::Groups(groups.len()));
        }
        let request = Request {
            user: user.to_owned(),
            group: groups.first().map(|group| (*group).to_owned()),
            sans: [].into(),
            client_auth: true,
            server_auth: false,
        };
        self.identity(&format!("client-{user}"), &request)
    }

    /// The identity of a node's agent: the client `system:node:NAME` in `system:nodes`, and the
    /// server NAME.
    pub fn node(&self, name: &str) -> Result<Identity, PkiError> {
        let request = Request {
            user: format!("system:node:{name}"),
            group: Some("system:nodes".to_owned()),
            sans: [San::Dns(name.to_owned())].into(),
            client_auth: true,
            server_auth: true,
        };
        self.identity(&format!("node-{name}"), &request)
    }

    /// A kubeconfig for an identity of this authority.
    pub fn kubeconfig(&self, user: &str, identity: &Identity, server: &str) -> Kubeconfig {
        Kubeconfig {
            server: server.to_owned(),
            ca_pem: self.ca_pem.clone(),
            user: user.to_owned(),
            identity: identity.clone(),
        }
    }

    /// What is in the file, or a new identity when that does not do.
    fn identity(&self, stem: &str, request: &Request) -> Result<Identity, PkiError> {
        if request.user.is_empty() || stem.contains(['/', '\0']) || stem.len() > 200 {
            return Err(PkiError::User(request.user.clone()));
        }
        let _lock = files::lock(&self.dir)?;
        // Key and certificate are one file, so that they always belong together.
        let path = self.dir.join(format!("{stem}.pem"));
        let now = OffsetDateTime::now_utc();
        if let Some(kept) = files::read(&path)?.as_deref().and_then(split)
            && request.is_met_by(&kept, &self.ca_pem, now)
        {
            return Ok(kept);
        }
        let identity = request.issue(&self.issuer, now)?;
        files::replace(&path, format!("{}{}", identity.key_pem, identity.cert_pem).as_bytes())?;
        info!(user = request.user, path = %path.display(), "issued a certificate");
        Ok(identity)
    }
}

/// The parts of a file that [`Pki::identity`] wrote: the key first.
fn split(content: &str) -> Option<Identity> {
    let at = content.find("-----BEGIN CERTIFICATE-----")?;
    let (key, cert) = content.split_at(at);
    Some(Identity { cert_pem: cert.to_owned(), key_pem: key.to_owned() })
}

fn authority_key(dir: &Path) -> Result<KeyPair, PkiError> {
    let path = dir.join("ca.key");
    if let Some(pem) = files::read(&path)? {
        return KeyPair::from_pem(&pem).map_err(|error| unusable(dir, error.to_string()));
    }
    if files::read(&dir.join("ca.crt"))?.is_some() {
        return Err(unusable(dir, "ca.crt is there, but ca.key is not"));
    }
    let key = certificate::new_key()?;
    files::create(&path, key.serialize_pem().as_bytes())?;
    Ok(key)
}

fn authority_certificate(dir: &Path, key: &KeyPair) -> Result<String, PkiError> {
    let path = dir.join("ca.crt");
    let now = OffsetDateTime::now_utc();
    if let Some(pem) = files::read(&path)? {
        return if !certificate::is_of(&pem, key) {
            Err(unusable(dir, "ca.crt does not belong to ca.key"))
        } else if !certificate::is_valid(&pem, now) {
            Err(unusable(dir, "ca.crt has expired"))
        } else {
            Ok(pem)
        };
    }
    let pem = certificate::authority(key, now)?;
    files::replace(&path, pem.as_bytes())?;
    info!(path = %path.display(), "made a certificate authority");
    Ok(pem)
}

fn unusable(dir: &Path, reason: impl Into<String>) -> PkiError {
    PkiError::Authority { dir: dir.to_owned(), reason: reason.into() }
}
