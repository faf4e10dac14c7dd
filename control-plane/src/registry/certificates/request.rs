//! What is asked for, by whom it is to be signed, and what was signed.

use base64::{Engine, engine::general_purpose::STANDARD};
use nodeplane_api::{names, status::FieldErrors};
use serde_json::Value;
use x509_parser::pem::Pem;

use crate::pki::SigningRequest;

const LEGACY: &str = "kubernetes.io/legacy-unknown";
/// The shortest life that may be asked for, in seconds.
const LEAST_SECONDS: i64 = 600;
const DOMAIN_LIMIT: usize = 253;
const LABEL_LIMIT: usize = 63;

/// In the order of upstream's messages.
const USAGES: [&str; 23] = [
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "decipher only",
    "digital signature",
    "email protection",
    "encipher only",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "key agreement",
    "key encipherment",
    "microsoft sgc",
    "netscape sgc",
    "ocsp signing",
    "s/mime",
    "server auth",
    "signing",
    "timestamping",
];

/// Everything that is wrong with a request.
pub(super) fn validate(spec: &Value) -> FieldErrors {
    let mut errors = FieldErrors::default();
    let request = STANDARD.decode(spec["request"].as_str().unwrap_or_default()).unwrap_or_default();
    if let Err(why) = SigningRequest::parse(&request) {
        errors.invalid_shown("spec.request", go_bytes(&request), why);
    }
    validate_usages(spec, &mut errors);
    match spec["signerName"].as_str().unwrap_or_default() {
        LEGACY => {
            errors.invalid("spec.signerName", LEGACY, "the legacy signerName is not allowed via this API version");
        }
        name => validate_signer(name, &mut errors),
    }
    if let Some(seconds) = spec["expirationSeconds"].as_i64().filter(|seconds| *seconds < LEAST_SECONDS) {
        let why = "may not specify a duration less than 600 seconds (10 minutes)";
        errors.invalid("spec.expirationSeconds", seconds, why);
    }
    errors
}

fn validate_usages(spec: &Value, errors: &mut FieldErrors) {
    let usages: Vec<&str> =
        spec["usages"].as_array().into_iter().flatten().map(|usage| usage.as_str().unwrap_or_default()).collect();
    if usages.is_empty() {
        errors.required("spec.usages", "usages must be provided");
    }
    for (index, usage) in usages.iter().enumerate() {
        if !USAGES.contains(usage) {
            errors.not_supported(format!("spec.usages[{index}]"), *usage, &USAGES);
        }
    }
    for (index, usage) in usages.iter().enumerate() {
        if usages[..index].contains(usage) {
            errors.duplicate(format!("spec.usages[{index}]"), *usage);
        }
    }
}

/// As upstream's `ValidateSignerName`: `DOMAIN/NAME`.
fn validate_signer(name: &str, errors: &mut FieldErrors) {
    let field = "spec.signerName";
    if name.is_empty() {
        return errors.required(field, "");
    }
    let segments: Vec<&str> = name.split('/').collect();
    let [domain, path] = segments[..] else {
        let why = "must be a fully qualified domain and path of the form 'example.com/signer-name'";
        return errors.invalid(field, name, why);
    };
    if domain.len() > DOMAIN_LIMIT {
        errors.too_long(field, DOMAIN_LIMIT);
    }
    let mut check = |segment: &str, rule: fn(&str) -> Vec<String>| {
        let wrong = segment.split('.').find_map(|label| Some((label, rule(label))).filter(|(_, why)| !why.is_empty()));
        let (label, why) = wrong.unwrap_or_default();
        for why in why {
            errors.invalid(field, segment, format!("validating label {label:?}: {why}"));
        }
    };
    check(domain, names::label_1123);
    check(path, names::subdomain);
    if !domain.contains('.') {
        errors.invalid(field, domain, "should be a domain with at least two segments separated by dots");
    }
    let limit = DOMAIN_LIMIT + DOMAIN_LIMIT + LABEL_LIMIT + 2;
    if name.len() > limit {
        errors.too_long(field, limit);
    }
}

/// What is wrong with the answer, and with changing it.
pub(super) fn validate_certificate(object: &Value, old: &Value, may_answer: bool) -> FieldErrors {
    let mut errors = FieldErrors::default();
    let field = "status.certificate";
    let text = |object: &Value| object["status"]["certificate"].as_str().unwrap_or_default().to_owned();
    let (now, before) = (text(object), text(old));
    if now != before {
        if !may_answer {
            errors.forbidden(field, "updates may not set certificate content");
        } else if !before.is_empty() {
            errors.forbidden(field, "updates may not modify existing certificate content");
        }
    }
    if let Err(why) = check_chain(&STANDARD.decode(now).unwrap_or_default()) {
        errors.invalid(field, "<certificate data>", why);
    }
    errors
}

fn check_chain(pem: &[u8]) -> Result<(), String> {
    if pem.is_empty() {
        return Ok(());
    }
    let mut blocks = 0;
    for block in Pem::iter_from_buffer(pem) {
        let Ok(block) = block else { break };
        if block.label != "CERTIFICATE" {
            return Err(format!("only CERTIFICATE PEM blocks are allowed, found {:?}", block.label));
        }
        block.parse_x509().map_err(|_| "x509: malformed certificate".to_owned())?;
        blocks += 1;
    }
    if blocks == 0 { Err("must contain at least one CERTIFICATE PEM block".to_owned()) } else { Ok(()) }
}

/// Bytes as Go's `%#v` prints them.
fn go_bytes(bytes: &[u8]) -> String {
    let bytes: Vec<String> = bytes.iter().map(|byte| format!("{byte:#x}")).collect();
    format!("[]byte{{{}}}", bytes.join(", "))
}
