//! Kubeconfig files: how a client finds the API server and who it is.

use std::path::Path;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{Identity, PkiError, files};

/// One cluster, one user and the context of the two, with everything embedded.
#[derive(Clone, Debug)]
pub struct Kubeconfig {
    /// URL of the API server.
    pub server: String,
    /// Who has signed the API server's certificate.
    pub ca_pem: String,
    /// Name of the user's entry.
    pub user: String,
    /// What the user shows.
    pub identity: Identity,
}

impl Kubeconfig {
    /// Replaces `path` (mode 0600) at once when it holds something else.
    pub fn write(&self, path: &Path) -> Result<(), PkiError> {
        let content = self.to_yaml();
        if files::read(path)?.as_deref() == Some(content.as_str()) {
            return Ok(());
        }
        files::replace(path, content.as_bytes())
    }

    /// The file's content.
    pub fn to_yaml(&self) -> String {
        serde_yaml::to_string(&self.to_value()).expect("strings and lists are YAML")
    }

    fn to_value(&self) -> Value {
        let cluster = "nodeplane";
        let context = format!("{}@{cluster}", self.user);
        json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": cluster, "cluster": {
                "server": self.server,
                "certificate-authority-data": STANDARD.encode(&self.ca_pem),
            }}],
            "users": [{"name": self.user, "user": {
                "client-certificate-data": STANDARD.encode(&self.identity.cert_pem),
                "client-key-data": STANDARD.encode(&self.identity.key_pem),
            }}],
            "contexts": [{"name": context, "context": {"cluster": cluster, "user": self.user}}],
            "current-context": context,
        })
    }
}
