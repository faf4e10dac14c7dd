//! Secrets (upstream `ValidateSecret`, `ValidateSecretUpdate`).

use base64::{Engine, engine::general_purpose::STANDARD};
use nodeplane_api::status::FieldErrors;
use serde_json::Value;

use super::config_map::{check_immutable, check_key, decoded_size};
use crate::registry::{
    Strategy,
    fields::{At, child, fill, remove},
    metadata,
};

/// All values together, in bytes.
const LIMIT: usize = 1024 * 1024;

/// The strategy of Secrets.
pub(super) struct SecretStrategy;

impl Strategy for SecretStrategy {
    /// `stringData` is for writing only: it goes into `data`, over what stands there.
    fn default(&self, secret: &mut Value) {
        fill(secret, "type", "Opaque");
        let Some(texts) = secret.get("stringData").and_then(Value::as_object).cloned() else { return };
        if let Some(data) = child(secret, "data") {
            for (key, text) in texts {
                data[key] = STANDARD.encode(text.as_str().unwrap_or_default()).into();
            }
        }
        remove(secret, "stringData");
    }

    fn validate(&self, secret: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        let root = At::root(secret);
        let data = root.field("data");
        let mut size = 0;
        for (key, value) in data.entries() {
            check_key(key, &value, &mut errors);
            size += decoded_size(value.text());
        }
        if size > LIMIT {
            errors.too_long("data", LIMIT);
        }
        check_content(&root, &mut errors);
        errors
    }

    fn validate_update(&self, secret: &Value, old: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        metadata::check_immutable(&At::root(secret).field("type"), &At::root(old).field("type"), &mut errors);
        check_immutable(secret, old, &["data"], &mut errors);
        errors
    }
}

/// What the well-known types must hold.
fn check_content(secret: &At<'_>, errors: &mut FieldErrors) {
    match secret.field("type").text() {
        "kubernetes.io/service-account-token" => {
            let account = "kubernetes.io/service-account.name";
            let annotations = secret.field("metadata").field("annotations");
            if annotations.value.get(account).and_then(Value::as_str).unwrap_or_default().is_empty() {
                errors.required(format!("metadata.annotations[{account}]"), "");
            }
        }
        "kubernetes.io/dockercfg" => check_json(secret, ".dockercfg", errors),
        "kubernetes.io/dockerconfigjson" => check_json(secret, ".dockerconfigjson", errors),
        "kubernetes.io/basic-auth" => {
            let data = secret.field("data");
            if data.value.get("username").is_none() && data.value.get("password").is_none() {
                errors.required("data[username]", "");
                errors.required("data[password]", "");
            }
        }
        "kubernetes.io/ssh-auth" => {
            let key = secret.field("data").field("ssh-privatekey");
            if key.text().is_empty() {
                errors.required("data[ssh-privatekey]", "");
            }
        }
        "kubernetes.io/tls" => {
            require(secret, "tls.crt", errors);
            require(secret, "tls.key", errors);
        }
        _ => {}
    }
}

fn require(secret: &At<'_>, key: &str, errors: &mut FieldErrors) {
    if secret.value["data"].get(key).is_none() {
        errors.required(format!("data[{key}]"), "");
    }
}

fn check_json(secret: &At<'_>, key: &str, errors: &mut FieldErrors) {
    let Some(text) = secret.value["data"].get(key).and_then(Value::as_str) else {
        errors.required(format!("data[{key}]"), "");
        return;
    };
    let bytes = STANDARD.decode(text).unwrap_or_default();
    let wrong = match serde_json::from_slice::<Value>(&bytes) {
        Ok(Value::Object(_) | Value::Null) => return,
        Ok(other) => {
            format!("json: cannot unmarshal {} into Go value of type map[string]interface {{}}", type_of(&other))
        }
        Err(error) if error.is_eof() => "unexpected end of JSON input".to_owned(),
        Err(_) => "must be a JSON object".to_owned(),
    };
    errors.invalid(format!("data[{key}]"), "<secret contents redacted>", wrong);
}

/// The type of a value in the words of Go's JSON.
fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Array(_) => "array",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        _ => "string",
    }
}

#[cfg(test)]
mod tests;
