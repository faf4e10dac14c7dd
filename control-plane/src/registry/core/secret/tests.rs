use serde_json::{Value, json};

use super::*;
use crate::registry::cases::{self, created, with};

fn secret() -> Value {
    json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "s", "namespace": "default" },
            "data": { "a": STANDARD.encode("one") } })
}

fn of_type(kind: &str, data: &Value) -> Value {
    with(&secret(), &[("/type", json!(kind)), ("/data", data.clone())])
}

#[test]
fn plain_text_becomes_data() {
    let secret = created(&SecretStrategy, &with(&secret(), &[("/stringData", json!({ "a": "two", "b": "three" }))]));
    assert_eq!(secret["type"], "Opaque");
    assert_eq!(secret["data"], json!({ "a": STANDARD.encode("two"), "b": STANDARD.encode("three") }));
    assert_eq!(secret.get("stringData"), None);
}

#[test]
fn keys_are_file_names() {
    let words = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or \
                 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
    let secret = with(&secret(), &[("/data", json!({ "a/b": "", "..": "" }))]);
    let mut said = cases::refused(&SecretStrategy, &secret);
    said.sort();
    let expected = [
        "data[..]: Invalid value: \"..\": must not be '..'".to_owned(),
        format!("data[a/b]: Invalid value: \"a/b\": {words}"),
    ];
    assert_eq!(said, expected);
}

#[test]
fn a_secret_has_a_megabyte_at_most() {
    let sized = |bytes: usize| with(&secret(), &[("/data/a", json!(STANDARD.encode(vec![0; bytes])))]);
    assert_eq!(cases::refused(&SecretStrategy, &sized(1 << 20)), Vec::<String>::new());
    assert_eq!(
        cases::refused(&SecretStrategy, &sized((1 << 20) + 1)),
        ["data: Too long: may not be more than 1048576 bytes"]
    );
}

#[test]
fn known_types_have_their_content() {
    let text = |text: &str| STANDARD.encode(text);
    let redacted = "Invalid value: \"<secret contents redacted>\"";
    for (kind, data, expected) in [
        ("example.com/own", json!({}), vec![]),
        ("kubernetes.io/dockercfg", json!({}), vec!["data[.dockercfg]: Required value".to_owned()]),
        ("kubernetes.io/dockerconfigjson", json!({ ".dockerconfigjson": text("{}") }), vec![]),
        (
            "kubernetes.io/dockerconfigjson",
            json!({ ".dockerconfigjson": text("{") }),
            vec![format!("data[.dockerconfigjson]: {redacted}: unexpected end of JSON input")],
        ),
        (
            "kubernetes.io/dockerconfigjson",
            json!({ ".dockerconfigjson": text("[]") }),
            vec![format!(
                "data[.dockerconfigjson]: {redacted}: json: cannot unmarshal array into Go value of type \
                 map[string]interface {{}}"
            )],
        ),
        (
            "kubernetes.io/basic-auth",
            json!({}),
            vec!["data[username]: Required value".to_owned(), "data[password]: Required value".to_owned()],
        ),
        ("kubernetes.io/basic-auth", json!({ "username": "" }), vec![]),
        (
            "kubernetes.io/ssh-auth",
            json!({ "ssh-privatekey": "" }),
            vec!["data[ssh-privatekey]: Required value".to_owned()],
        ),
        ("kubernetes.io/tls", json!({ "tls.crt": "" }), vec!["data[tls.key]: Required value".to_owned()]),
        (
            "kubernetes.io/service-account-token",
            json!({}),
            vec!["metadata.annotations[kubernetes.io/service-account.name]: Required value".to_owned()],
        ),
    ] {
        assert_eq!(cases::refused(&SecretStrategy, &of_type(kind, &data)), expected, "{kind} {data}");
    }
}

#[test]
fn the_type_stays_and_so_does_what_is_immutable() {
    let old = with(&secret(), &[("/immutable", json!(true))]);
    let refused = |changes: &[(&str, Value)]| cases::refused_update(&SecretStrategy, &with(&old, changes), &old);
    let words = "field is immutable when `immutable` is set";
    assert_eq!(refused(&[("/metadata/labels", json!({ "a": "b" }))]), Vec::<String>::new());
    assert_eq!(refused(&[("/type", json!("x"))]), ["type: Invalid value: \"x\": field is immutable"]);
    assert_eq!(refused(&[("/immutable", Value::Null)]), [format!("immutable: Forbidden: {words}")]);
    assert_eq!(refused(&[("/stringData", json!({ "a": "two" }))]), [format!("data: Forbidden: {words}")]);
    // The same text again is no change.
    assert_eq!(refused(&[("/stringData", json!({ "a": "one" }))]), Vec::<String>::new());
}
