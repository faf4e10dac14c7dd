use rcgen::{CertificateParams, DnType, KeyPair};
use serde_json::json;

use super::*;
use crate::registry::cases::{created, refused, refused_update, said, updated, with};

fn pem() -> String {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "jane");
    params.serialize_request(&KeyPair::generate().unwrap()).unwrap().pem().unwrap()
}

fn encoded(text: &str) -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};
    STANDARD.encode(text)
}

fn good() -> Value {
    json!({
        "apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "metadata": { "name": "csr_X" },
        "spec": {
            "request": encoded(&pem()), "usages": ["client auth"], "signerName": "kubernetes.io/kube-apiserver-client",
        },
    })
}

#[test]
fn a_request_is_read_before_it_is_stored() {
    assert!(refused(&SigningRequestStrategy, &good()).is_empty());
    for (pointer, value, why) in [
        (
            "/spec/request",
            json!(encoded("ab")),
            "spec.request: Invalid value: []byte{0x61, 0x62}: PEM block type must be CERTIFICATE REQUEST",
        ),
        ("/spec/usages", json!([]), "spec.usages: Required value: usages must be provided"),
        ("/spec/usages", json!(["client auth", "client auth"]), "spec.usages[1]: Duplicate value: \"client auth\""),
        ("/spec/signerName", json!(""), "spec.signerName: Required value"),
        (
            "/spec/signerName",
            json!("kubernetes.io/legacy-unknown"),
            "spec.signerName: Invalid value: \"kubernetes.io/legacy-unknown\": the legacy signerName is not allowed via this \
          API version",
        ),
        (
            "/spec/signerName",
            json!("me"),
            "spec.signerName: Invalid value: \"me\": must be a fully qualified domain and path of the form \
          'example.com/signer-name'",
        ),
        (
            "/spec/signerName",
            json!("local/me"),
            "spec.signerName: Invalid value: \"local\": should be a domain with at least two segments separated by dots",
        ),
        (
            "/spec/expirationSeconds",
            json!(599),
            "spec.expirationSeconds: Invalid value: 599: may not specify a duration less than 600 seconds (10 minutes)",
        ),
    ] {
        assert_eq!(refused(&SigningRequestStrategy, &with(&good(), &[(pointer, value)])), [why], "{pointer}");
    }
    let told = refused(&SigningRequestStrategy, &with(&good(), &[("/spec/usages", json!(["everything"]))]));
    assert!(
        told[0].starts_with("spec.usages[0]: Unsupported value: \"everything\": supported values: \"any\", \"cert")
    );
    let told = refused(&SigningRequestStrategy, &with(&good(), &[("/spec/signerName", json!("a.b/C"))]));
    assert!(
        told[0].starts_with("spec.signerName: Invalid value: \"C\": validating label \"C\": a lowercase"),
        "{told:?}"
    );
}

#[test]
fn what_was_asked_for_stays() {
    let old = created(&SigningRequestStrategy, &good());
    let other =
        with(&good(), &[("/spec/signerName", json!("other.example/s")), ("/status", json!({ "certificate": "" }))]);
    let kept = updated(&SigningRequestStrategy, &other, &old);
    assert_eq!((&kept["spec"], &kept["status"]), (&old["spec"], &old["status"]));
    assert!(refused_update(&SigningRequestStrategy, &other, &good()).is_empty());
}

fn deciding(name: &str) -> Value {
    json!({ "status": { "conditions": [{ "type": name, "status": "True", "reason": "r" }] } })
}

fn change(part: Subresource, object: &Value, old: &Value) -> (Value, Vec<String>) {
    let mut object = object.clone();
    SigningRequestStrategy.prepare_for_part(part, &mut object, old);
    let told = said(&SigningRequestStrategy.validate_part(part, &object, old));
    (object, told)
}

#[test]
fn a_decision_is_made_once_and_not_taken_back() {
    let undecided = json!({ "status": {} });
    let (approved, told) = change(Subresource::Approval, &deciding("Approved"), &undecided);
    assert!(told.is_empty(), "{told:?}");
    let condition = &approved["status"]["conditions"][0];
    assert!(condition["lastUpdateTime"].is_string() && condition["lastTransitionTime"].is_string(), "{condition}");
    let told = change(Subresource::Approval, &deciding("Denied"), &approved).1;
    assert_eq!(told, ["status.conditions: Forbidden: updates may not remove a condition of type \"Approved\""]);
    let mut both = approved.clone();
    both["status"]["conditions"].as_array_mut().unwrap().push(deciding("Denied")["status"]["conditions"][0].clone());
    let told = change(Subresource::Approval, &both, &approved).1;
    let why =
        "status.conditions[1].type: Invalid value: \"Denied\": Approved and Denied conditions are mutually exclusive";
    assert_eq!(told, [why]);
    let mut unsure = deciding("Approved");
    unsure["status"]["conditions"][0]["status"] = "False".into();
    let told = change(Subresource::Approval, &unsure, &undecided).1;
    assert_eq!(told, ["status.conditions[0].status: Unsupported value: \"False\": supported values: \"True\""]);
    // Who answers does not decide.
    let (answered, told) = change(Subresource::Status, &deciding("Approved"), &undecided);
    assert_eq!((answered["status"].get("conditions"), told.len()), (Some(&json!([])), 0));
    let (kept, told) = change(Subresource::Status, &undecided, &approved);
    assert_eq!((&kept["status"], told.len()), (&approved["status"], 0));
}

#[test]
fn an_answer_is_given_once_and_only_as_status() {
    let (old, answer) = (json!({ "status": {} }), |text: &str| json!({ "status": { "certificate": encoded(text) } }));
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::default().self_signed(&key).unwrap().pem();
    assert_eq!(change(Subresource::Status, &answer(&certificate), &old).1, Vec::<String>::new());
    let told = change(Subresource::Approval, &answer(&certificate), &old).1;
    assert_eq!(told, ["status.certificate: Forbidden: updates may not set certificate content"]);
    let told = change(Subresource::Status, &answer(&format!("{certificate}{certificate}")), &answer(&certificate)).1;
    assert_eq!(told, ["status.certificate: Forbidden: updates may not modify existing certificate content"]);
    for (text, why) in [
        ("nonsense", "must contain at least one CERTIFICATE PEM block"),
        (&*pem(), "only CERTIFICATE PEM blocks are allowed, found \"CERTIFICATE REQUEST\""),
    ] {
        let told = change(Subresource::Status, &answer(text), &old).1;
        assert_eq!(told, [format!("status.certificate: Invalid value: \"<certificate data>\": {why}")]);
    }
}
