use rcgen::{CertificateParams, DnType, KeyPair, SanType};

use super::*;

fn params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "dev");
    params.distinguished_name.push(DnType::CommonName, "jane");
    params.subject_alt_names = vec![
        SanType::DnsName("a.example".try_into().unwrap()),
        SanType::IpAddress("192.0.2.1".parse().unwrap()),
        SanType::IpAddress("2001:db8::1".parse().unwrap()),
        SanType::Rfc822Name("j@a.example".try_into().unwrap()),
        SanType::URI("urn:x".try_into().unwrap()),
    ];
    params
}

fn pem() -> String {
    params().serialize_request(&KeyPair::generate().unwrap()).unwrap().pem().unwrap()
}

#[test]
fn a_request_says_who_and_under_which_names() {
    let read = SigningRequest::parse(pem().as_bytes()).unwrap();
    assert_eq!((read.common_name.as_str(), &read.organizations[..]), ("jane", &["dev".to_owned()][..]));
    assert_eq!(read.dns_names, ["a.example"]);
    assert_eq!(read.addresses, ["192.0.2.1", "2001:db8::1"].map(|ip| ip.parse::<IpAddr>().unwrap()));
    assert_eq!((&read.emails[..], &read.uris[..]), (&["j@a.example".to_owned()][..], &["urn:x".to_owned()][..]));
}

#[test]
fn what_is_no_request_is_told() {
    let good = pem();
    let refused = |pem: &str| SigningRequest::parse(pem.as_bytes()).unwrap_err();
    let no_block = "PEM block type must be CERTIFICATE REQUEST";
    assert_eq!(refused(""), no_block);
    assert_eq!(refused("nonsense"), no_block);
    assert_eq!(refused(&good.replace("CERTIFICATE REQUEST", "CERTIFICATE")), no_block);
    let block = Pem::iter_from_buffer(good.as_bytes()).next().unwrap().unwrap();
    let again = |der: &[u8]| {
        use base64::{Engine, engine::general_purpose::STANDARD};
        format!("-----BEGIN {LABEL}-----\n{}\n-----END {LABEL}-----\n", STANDARD.encode(der))
    };
    assert!(refused(&again(b"\x30\x03abc")).contains("malformed"));
    let mut forged = block.contents.clone();
    let at = forged.windows(4).position(|bytes| bytes == b"jane").unwrap();
    forged[at..at + 4].copy_from_slice(b"root");
    assert!(refused(&again(&forged)).contains("signature"), "{}", refused(&again(&forged)));
    assert!(SigningRequest::parse(again(&block.contents).as_bytes()).is_ok());
}
