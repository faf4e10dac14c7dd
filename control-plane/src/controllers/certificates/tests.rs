use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SanType};
use serde_json::json;
use tempfile::TempDir;
use x509_parser::pem::Pem;

use super::*;
use crate::pki::Pki;

const NOW: i64 = 1_700_000_000;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(NOW + seconds).unwrap()
}

fn signer() -> (Signer, TempDir) {
    let dir = TempDir::new().unwrap();
    (Pki::open(dir.path()).unwrap().signer().unwrap(), dir)
}

fn pem(user: &str, group: &str, names: &[SanType]) -> String {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, group);
    params.distinguished_name.push(DnType::CommonName, user);
    params.subject_alt_names = names.to_vec();
    params.serialize_request(&KeyPair::generate().unwrap()).unwrap().pem().unwrap()
}

fn request(signer: &str, pem: &str, usages: &[&str], condition: &str) -> CertificateSigningRequest {
    let bytes = ByteString(pem.as_bytes().to_vec());
    let conditions = match condition {
        "" => json!([]),
        name => json!([{ "type": name, "status": "True", "lastUpdateTime": at(0).to_string() }]),
    };
    serde_json::from_value(json!({
        "metadata": { "name": "csr-1", "uid": "u", "creationTimestamp": at(0).to_string() },
        "spec": { "signerName": signer, "request": bytes, "usages": usages },
        "status": { "conditions": conditions },
    }))
    .unwrap()
}

fn name() -> SanType {
    SanType::DnsName("n1".try_into().unwrap())
}

/// What a signer says to an approved request: nothing when it signs.
fn told(signer: &str, pem: &str, usages: &[&str]) -> String {
    signers::check(
        signer,
        &SigningRequest::parse(pem.as_bytes()).unwrap(),
        &usages.iter().map(|usage| (*usage).to_owned()).collect::<Vec<_>>(),
    )
    .err()
    .unwrap_or_default()
}

const CLIENT: &str = "kubernetes.io/kube-apiserver-client";
const KUBELET: &str = "kubernetes.io/kube-apiserver-client-kubelet";
const SERVING: &str = "kubernetes.io/kubelet-serving";

#[test]
fn an_approved_request_gets_a_certificate_for_as_long_as_it_asks() {
    // The authority is of today.
    let (signer, _dir) = signer();
    let now = Timestamp::now();
    let mut asked = request(CLIENT, &pem("jane", "dev", &[]), &["client auth"], "Approved");
    asked.spec.expiration_seconds = Some(3600);
    let answered = answer(&asked, &signer, now).unwrap();
    let issued = certificate(&answered).to_vec();
    let block = Pem::iter_from_buffer(&issued).next().unwrap().unwrap();
    let read = block.parse_x509().unwrap();
    assert_eq!(read.subject().to_string(), "O=dev, CN=jane");
    assert_eq!(read.validity().not_after.timestamp(), now.as_second() + 3600);
    assert!(answer(&answered, &signer, now).is_none(), "once is enough");
    for seconds in [(None, LIFETIME), (Some(1), LEAST), (Some(i32::MAX), LIFETIME)] {
        assert_eq!(lifetime(seconds.0), seconds.1);
    }
}

#[test]
fn nobody_else_gets_one() {
    let (signer, _dir) = signer();
    let pem = pem("jane", "dev", &[]);
    for (of, condition) in [(CLIENT, ""), (CLIENT, "Denied"), (CLIENT, "Failed"), ("example.com/other", "Approved")] {
        assert!(answer(&request(of, &pem, &["client auth"], condition), &signer, at(0)).is_none(), "{of} {condition}");
    }
}

#[test]
fn what_a_signer_does_not_give_out_fails_with_the_reason() {
    let (signer, _dir) = signer();
    let asked = request(CLIENT, &pem("jane", "dev", &[]), &["server auth"], "Approved");
    let answered = answer(&asked, &signer, Timestamp::now()).unwrap();
    let failed = condition(&answered, "Failed").unwrap();
    assert_eq!(failed.reason.as_deref(), Some("SignerValidationFailure"));
    assert_eq!(failed.message.as_deref(), Some("invalid usage for client certificate: server auth"));
    assert!(certificate(&answered).is_empty() && answer(&answered, &signer, Timestamp::now()).is_none());
}

#[test]
fn every_signer_has_its_rules() {
    let node = |names: &[SanType]| pem("system:node:n1", "system:nodes", names);
    let ip = || SanType::IpAddress("192.0.2.1".parse().unwrap());
    let email = || SanType::Rfc822Name("a@b".try_into().unwrap());
    let uri = || SanType::URI("urn:a".try_into().unwrap());
    let (client, serving) =
        (["digital signature", "client auth"], ["digital signature", "server auth", "key encipherment"]);
    for (signer, pem, usages, why) in [
        (CLIENT, node(&[]), &client[..], ""),
        (CLIENT, node(&[]), &client[..1], "missing required usage for client certificate: client auth"),
        (KUBELET, node(&[]), &client, ""),
        (KUBELET, pem("system:node:n1", "dev", &[]), &client, "subject organization is not system:nodes"),
        (KUBELET, pem("n1", "system:nodes", &[]), &client, "subject common name does not begin with system:node:"),
        (KUBELET, node(&[name()]), &client, "DNS subjectAltNames are not allowed"),
        (KUBELET, node(&[ip()]), &client, "IP subjectAltNames are not allowed"),
        (KUBELET, node(&[email()]), &client, "Email subjectAltNames are not allowed"),
        (KUBELET, node(&[uri()]), &client, "URI subjectAltNames are not allowed"),
        (KUBELET, node(&[]), &serving, "usages did not match [client auth digital signature key encipherment]"),
        (SERVING, node(&[name(), ip()]), &serving, ""),
        (SERVING, node(&[ip()]), &serving[..2], ""),
        (SERVING, node(&[]), &serving, "DNS or IP subjectAltName is required"),
        (SERVING, node(&[name(), uri()]), &serving, "URI subjectAltNames are not allowed"),
        (SERVING, node(&[name()]), &client, "usages did not match [digital signature key encipherment server auth]"),
        (
            SERVING,
            pem("n1", "system:nodes", &[name()]),
            &serving,
            "subject common name does not begin with system:node:",
        ),
    ] {
        assert_eq!(told(signer, &pem, usages), why, "{signer}");
    }
}

#[test]
fn requests_are_forgotten_when_their_time_is_over() {
    let of = |condition: &str| request(CLIENT, "", &[], condition);
    let (hour, day) = (3600, 86_400);
    for (condition, seconds, is_over) in [
        ("", day, false),
        ("", day + 1, true),
        ("Approved", hour, false),
        ("Approved", hour + 1, true),
        ("Denied", hour + 1, true),
        ("Failed", hour + 1, true),
        ("Other", hour + 1, false),
    ] {
        assert_eq!(cleaner::is_over(&of(condition), at(seconds)), is_over, "{condition} after {seconds} s");
    }
    let (signer, _dir) = signer();
    let now = Timestamp::now();
    let mut issued = request(CLIENT, &pem("jane", "dev", &[]), &["client auth"], "Approved");
    issued.spec.expiration_seconds = Some(600);
    let mut issued = answer(&issued, &signer, now).unwrap();
    issued.status.get_or_insert_default().conditions.get_or_insert_default()[0].last_update_time = Some(Time(now));
    let later = |seconds| now.checked_add(jiff::SignedDuration::from_secs(seconds)).unwrap();
    assert!(!cleaner::is_over(&issued, later(600)));
    assert!(cleaner::is_over(&issued, later(601)));
}
