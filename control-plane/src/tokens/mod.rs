//! Tokens with which service accounts call the API: made, checked, and told how to check.
//!
//! In: the cluster's signing key and who it signs as. Out: signed tokens (JWT), and the
//! [`Caller`](crate::access::Caller) behind one that holds. A token holds as long as its account
//! and what it is bound to exist; whether they do is looked up and never kept. Never decides what
//! an account may do.

mod check;
mod claims;
mod jwt;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::pki::Pki;

pub use self::{
    check::{Holder, Refusal},
    claims::{Claims, Reference, Subjects},
    jwt::{BadKey, SigningKey},
};

/// What every service account's user name begins with.
const USER_PREFIX: &str = "system:serviceaccount:";

/// The user name of a service account.
pub fn user_name(namespace: &str, name: &str) -> String {
    format!("{USER_PREFIX}{namespace}:{name}")
}

/// The groups of a service account.
pub fn groups(namespace: &str) -> Vec<String> {
    vec!["system:serviceaccounts".to_owned(), format!("system:serviceaccounts:{namespace}")]
}

/// Makes and checks tokens.
pub struct Tokens {
    key: SigningKey,
    issuers: Vec<String>,
    audiences: Vec<String>,
}

/// A token that is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// The account, and what the token is bound to.
    pub subjects: Subjects,
    /// Whom the holder may show it to.
    pub audiences: Vec<String>,
    /// How long it holds.
    pub seconds: i64,
}

impl Tokens {
    /// The tokens of the cluster whose keys these are.
    ///
    /// # Errors
    /// When the key cannot be read or is of another kind.
    pub fn open(pki: &Pki, issuers: Vec<String>, audiences: Vec<String>) -> anyhow::Result<Self> {
        Ok(Self::new(SigningKey::new(&pki.token_key()?)?, issuers, audiences))
    }

    /// Signs with a key as the first of some issuers, and accepts what any of them has signed with
    /// it. `audiences` are the names of this API.
    pub fn new(key: SigningKey, issuers: Vec<String>, audiences: Vec<String>) -> Self {
        Self { key, issuers, audiences }
    }

    /// What tells the signing key from others.
    pub fn key_id(&self) -> &str {
        self.key.id()
    }

    /// The names of this API.
    pub fn audiences(&self) -> &[String] {
        &self.audiences
    }

    /// Makes a token.
    ///
    /// # Errors
    /// When the machine has no randomness.
    pub fn issue(&self, wish: &Wish, now: Timestamp) -> Result<String, BadKey> {
        self.key.sign(&json!(self.claims(wish, now)))
    }

    fn claims(&self, wish: &Wish, now: Timestamp) -> Claims {
        let now = now.as_second();
        let Reference { name, .. } = &wish.subjects.account;
        Claims {
            audiences: wish.audiences.clone(),
            expires: now.saturating_add(wish.seconds),
            issued: now,
            issuer: self.issuers.first().cloned().unwrap_or_default(),
            id: uuid::Uuid::new_v4().to_string(),
            subjects: wish.subjects.clone(),
            not_before: now,
            subject: user_name(&wish.subjects.namespace, name),
        }
    }

    /// The document by which others find out how to check tokens (OpenID Connect Discovery).
    pub fn configuration(&self, keys_url: &str) -> Value {
        json!({
            "issuer": self.issuers.first(),
            "jwks_uri": keys_url,
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [jwt::ALGORITHM],
        })
    }

    /// The keys that tokens are checked with (RFC 7517).
    pub fn keys(&self) -> Value {
        json!({ "keys": [self.key.to_jwk()] })
    }
}
