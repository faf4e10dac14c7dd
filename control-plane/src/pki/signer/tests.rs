use rcgen::{DnType, PKCS_ECDSA_P256_SHA256, PKCS_ED25519};
use tempfile::TempDir;

use super::*;

fn request(key: &KeyPair, organizations: usize) -> SigningRequest {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "jane");
    if organizations > 0 {
        params.distinguished_name.push(DnType::OrganizationName, "dev");
    }
    if organizations > 1 {
        params.distinguished_name.push(DnType::CustomDnType(vec![2, 5, 4, 10]), "x".repeat(200));
    }
    params.subject_alt_names = vec![SanType::IpAddress("192.0.2.1".parse().unwrap())];
    let pem = params.serialize_request(key).unwrap().pem().unwrap();
    SigningRequest::parse(pem.as_bytes()).unwrap()
}

fn usages(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Reads a certificate that must be signed by the authority.
fn read(pki: &Pki, pem: &str, check: impl FnOnce(&X509Certificate<'_>)) {
    let (_, ca) = parse_x509_pem(pki.ca_pem().as_bytes()).unwrap();
    let (_, block) = parse_x509_pem(pem.as_bytes()).unwrap();
    let certificate = block.parse_x509().unwrap();
    certificate.verify_signature(Some(ca.parse_x509().unwrap().public_key())).unwrap();
    check(&certificate);
}

#[test]
fn a_certificate_says_what_was_asked_for_whatever_its_length() {
    let dir = TempDir::new().unwrap();
    let pki = Pki::open(dir.path()).unwrap();
    let signer = pki.signer().unwrap();
    let now = OffsetDateTime::now_utc().replace_nanosecond(0).unwrap();
    for algorithm in [&PKCS_ECDSA_P256_SHA256, &PKCS_ED25519] {
        for organizations in 0..3 {
            let request = request(&KeyPair::generate_for(algorithm).unwrap(), organizations);
            let terms = Terms { usages: &usages(&["digital signature", "client auth"]), lifetime: Duration::days(365) };
            let pem = signer.sign(&request, terms, now).unwrap();
            read(&pki, &pem, |certificate| {
                let subject = certificate.subject();
                assert_eq!(subject.as_raw(), request.subject);
                assert_eq!(subject.iter_organization().count(), organizations);
                assert_eq!(certificate.public_key().raw, request.public_key);
                assert_eq!(certificate.subject_alternative_name().unwrap().unwrap().value.general_names.len(), 1);
                assert!(!certificate.is_ca());
                let usage = certificate.extended_key_usage().unwrap().unwrap().value;
                assert!(usage.client_auth && !usage.server_auth);
                assert!(certificate.key_usage().unwrap().unwrap().value.digital_signature());
                let validity = certificate.validity();
                assert_eq!(validity.not_before.to_datetime(), now - BACKDATE);
                assert_eq!(validity.not_after.to_datetime(), now + Duration::days(365) - BACKDATE);
            });
        }
    }
}

#[test]
fn a_short_life_is_not_made_shorter_and_none_outlives_the_authority() {
    let dir = TempDir::new().unwrap();
    let pki = Pki::open(dir.path()).unwrap();
    let signer = pki.signer().unwrap();
    let now = OffsetDateTime::now_utc().replace_nanosecond(0).unwrap();
    let request = request(&KeyPair::generate().unwrap(), 1);
    let ends = |lifetime| {
        let pem = signer.sign(&request, Terms { usages: &usages(&["client auth"]), lifetime }, now).unwrap();
        let mut ends = now;
        read(&pki, &pem, |certificate| ends = certificate.validity().not_after.to_datetime());
        ends
    };
    assert_eq!(ends(Duration::minutes(10)), now + Duration::minutes(10));
    assert_eq!(ends(Duration::days(36_500)), signer.ends);
    let late = signer.sign(&request, Terms { usages: &[], lifetime: Duration::hours(1) }, signer.ends).unwrap_err();
    assert!(late.to_string().contains("refusing to sign a certificate that expired in the past"), "{late}");
}

#[test]
fn a_usage_that_nobody_knows_is_refused() {
    let dir = TempDir::new().unwrap();
    let signer = Pki::open(dir.path()).unwrap().signer().unwrap();
    let request = request(&KeyPair::generate().unwrap(), 1);
    let terms = Terms { usages: &usages(&["everything"]), lifetime: Duration::hours(1) };
    let refused = signer.sign(&request, terms, OffsetDateTime::now_utc()).unwrap_err();
    assert!(refused.to_string().contains("everything"), "{refused}");
}
