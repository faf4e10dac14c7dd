use tempfile::TempDir;
use x509_parser::pem::parse_x509_pem;

use super::*;
use crate::pki::Pki;

#[test]
fn a_certificate_that_ended_on_an_open_connection_is_refused() {
    let dir = TempDir::new().unwrap();
    let identity = Pki::open(dir.path()).unwrap().client("jane", &["dev"]).unwrap();
    let der = CertificateDer::from(parse_x509_pem(identity.cert_pem.as_bytes()).unwrap().1.contents);
    let (_, parsed) = X509Certificate::from_der(&der).unwrap();
    let (from, until) = (parsed.validity().not_before.timestamp(), parsed.validity().not_after.timestamp());
    let at = |seconds| Caller::certified(&der, ASN1Time::from_timestamp(seconds).unwrap());
    assert_eq!(at(until).unwrap().name(), "jane");
    assert_eq!(at(until + 1).unwrap_err().code, 401);
    assert_eq!(at(from - 1).unwrap_err().code, 401);
}
