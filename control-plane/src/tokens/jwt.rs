//! JSON Web Tokens in the compact form (RFC 7515), signed with ECDSA on P-256 and nothing else.
//!
//! In: a key and claims. Out: text, and claims back when the signature is the key's. Whoever sends
//! a token does not choose how it is checked: another algorithm or key in its header is refused.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData};
use ring::{
    digest,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, UnparsedPublicKey},
};
use serde_json::{Value, json};

/// The name of the algorithm (RFC 7518).
pub(super) const ALGORITHM: &str = "ES256";
/// Bytes of the longest token that is looked at.
const LIMIT: usize = 16 * 1024;
/// Bytes of one coordinate of a public key.
const COORDINATE: usize = 32;

/// A key that cannot sign.
#[derive(Debug, thiserror::Error)]
pub enum BadKey {
    /// It is of another kind.
    #[error("the key for service account tokens must be an ECDSA key on the curve P-256 in PKCS #8")]
    Kind,
    /// Signing failed.
    #[error("signing a token failed")]
    Signing,
}

/// Signs and checks.
pub struct SigningKey {
    pair: EcdsaKeyPair,
    /// The uncompressed point: 4, x, y.
    public: Vec<u8>,
    id: String,
    random: SystemRandom,
}

impl SigningKey {
    /// A key for tokens. Its id is the digest of its public half, as upstream's.
    ///
    /// # Errors
    /// For a key of another kind.
    pub fn new(key: &KeyPair) -> Result<Self, BadKey> {
        if !key.is_compatible(&PKCS_ECDSA_P256_SHA256) {
            return Err(BadKey::Kind);
        }
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &key.serialize_der(), &random);
        let public = key.public_key_raw().to_vec();
        if public.len() != 1 + 2 * COORDINATE {
            return Err(BadKey::Kind);
        }
        let id = BASE64.encode(digest::digest(&digest::SHA256, &key.subject_public_key_info()));
        Ok(Self { pair: pair.map_err(|_| BadKey::Kind)?, public, id, random })
    }

    /// What tells it from other keys.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// The public half (RFC 7517).
    pub(super) fn to_jwk(&self) -> Value {
        let (x, y) = self.public[1..].split_at(COORDINATE);
        json!({
            "use": "sig",
            "kty": "EC",
            "kid": self.id,
            "crv": "P-256",
            "alg": ALGORITHM,
            "x": BASE64.encode(x),
            "y": BASE64.encode(y),
        })
    }

    /// The token that says these claims.
    pub(super) fn sign(&self, claims: &Value) -> Result<String, BadKey> {
        let header = json!({ "alg": ALGORITHM, "kid": self.id });
        let [header, claims] = [&header, claims].map(|part| BASE64.encode(part.to_string()));
        let signed = format!("{header}.{claims}");
        let signature = self.pair.sign(&self.random, signed.as_bytes()).map_err(|_| BadKey::Signing)?;
        Ok(format!("{signed}.{}", BASE64.encode(signature)))
    }

    /// The claims of a token that this key has signed.
    pub(super) fn verify(&self, token: &str) -> Option<Value> {
        if token.len() > LIMIT {
            return None;
        }
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let header: Value = serde_json::from_slice(&BASE64.decode(header).ok()?).ok()?;
        let is_other_key = header.get("kid").is_some_and(|kid| *kid != self.id);
        if header["alg"] != ALGORITHM || is_other_key || header.get("crit").is_some() {
            return None;
        }
        let signature = BASE64.decode(signature).ok()?;
        let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &self.public);
        public.verify(signed.as_bytes(), &signature).ok()?;
        serde_json::from_slice(&BASE64.decode(claims).ok()?).ok()
    }
}

#[cfg(test)]
mod tests;
