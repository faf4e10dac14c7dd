//! What a token says.

use serde::{Deserialize, Serialize};

/// An object by name and uid.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    /// Its name.
    pub name: String,
    /// Its uid, without which another one of the same name would do.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub uid: String,
}

/// Whom a token stands for, and what it is bound to. Upstream's private claims.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subjects {
    /// The account's namespace.
    pub namespace: String,
    /// The node that it is bound to, or that its pod is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<Reference>,
    /// The pod that it is bound to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<Reference>,
    /// The secret that it is bound to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<Reference>,
    /// The account.
    #[serde(rename = "serviceaccount")]
    pub account: Reference,
}

/// All claims.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Whom it may be shown to.
    #[serde(rename = "aud")]
    pub audiences: Vec<String>,
    /// When it ends, in seconds of the epoch.
    #[serde(rename = "exp")]
    pub expires: i64,
    /// When it was made.
    #[serde(rename = "iat")]
    pub issued: i64,
    /// Who made it.
    #[serde(rename = "iss")]
    pub issuer: String,
    /// Its own name.
    #[serde(rename = "jti")]
    pub id: String,
    /// Whom it stands for.
    #[serde(rename = "kubernetes.io")]
    pub subjects: Subjects,
    /// When it begins.
    #[serde(rename = "nbf")]
    pub not_before: i64,
    /// The user name.
    #[serde(rename = "sub")]
    pub subject: String,
}
