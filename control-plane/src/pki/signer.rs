//! Certificates for those who made their keys themselves.
//!
//! In: a [`SigningRequest`], what its key may be used for, and for how long. Out: a certificate of
//! the cluster's authority (upstream's `PermissiveSigningPolicy`). Who may have one, others decide.

use rcgen::{
    CertificateParams, DistinguishedName, ExtendedKeyUsagePurpose as Extended, IsCa, Issuer, KeyPair,
    KeyUsagePurpose as Usage, SanType, SigningKey, SubjectPublicKeyInfo,
};
use time::{Duration, OffsetDateTime};
use x509_parser::{certificate::X509Certificate, pem::parse_x509_pem, prelude::FromDer};

use super::{Pki, PkiError, SigningRequest, authority_key};

/// Clocks differ a little.
const BACKDATE: Duration = Duration::minutes(5);
/// A certificate for less than this ends when it was said, and not a bit before.
const SHORT: Duration = Duration::hours(8);

/// Signs with the authority's key.
pub struct Signer {
    issuer: Issuer<'static, KeyPair>,
    key: KeyPair,
    /// When the authority itself ends.
    ends: OffsetDateTime,
}

impl std::fmt::Debug for Signer {
    /// Leaves the key out.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer").field("ends", &self.ends).finish_non_exhaustive()
    }
}

/// What a certificate is to be good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms<'a> {
    /// In the words of `certificates.k8s.io`.
    pub usages: &'a [String],
    /// How long it holds.
    pub lifetime: Duration,
}

impl Pki {
    /// A signer with the key of this authority.
    pub fn signer(&self) -> Result<Signer, PkiError> {
        let key = || authority_key(&self.dir);
        let issuer = Issuer::from_ca_cert_pem(&self.ca_pem, key()?)?;
        let parsed = parse_x509_pem(self.ca_pem.as_bytes()).map_err(|error| PkiError::Sign(error.to_string()))?.1;
        let ends = parsed.parse_x509().map_err(|error| PkiError::Sign(error.to_string()))?.validity().not_after;
        Ok(Signer { issuer, key: key()?, ends: ends.to_datetime() })
    }
}

impl Signer {
    /// The certificate in PEM.
    ///
    /// # Errors
    /// For a key of a kind that is not signed, an unknown usage, or an authority that has ended.
    pub fn sign(&self, request: &SigningRequest, terms: Terms<'_>, now: OffsetDateTime) -> Result<String, PkiError> {
        if now >= self.ends {
            return Err(PkiError::Sign(format!(
                "refusing to sign a certificate that expired in the past: NotAfter {}",
                self.ends
            )));
        }
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.subject_alt_names = names(request)?;
        for usage in terms.usages {
            match of_name(usage) {
                Some(Purpose::Key(usage)) => params.key_usages.push(usage),
                Some(Purpose::Extended(usage)) => params.extended_key_usages.push(usage),
                None => return Err(PkiError::Sign(format!("unrecognized usage values: [{usage:?}]"))),
            }
        }
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        let ends = if terms.lifetime < SHORT { now + terms.lifetime } else { now + terms.lifetime - BACKDATE };
        (params.not_before, params.not_after) = (now - BACKDATE, ends.min(self.ends));
        let certificate = params.signed_by(&SubjectPublicKeyInfo::from_der(&request.public_key)?, &self.issuer)?;
        let der = self.with_subject(certificate.der(), &request.subject)?;
        Ok(pem(&der))
    }

    /// The same certificate for another subject, just as the request has it: the library that
    /// writes certificates knows no subject with several organisations.
    fn with_subject(&self, der: &[u8], subject: &[u8]) -> Result<Vec<u8>, PkiError> {
        let unreadable = |error: String| PkiError::Sign(format!("a certificate of our own: {error}"));
        let (_, parsed) = X509Certificate::from_der(der).map_err(|error| unreadable(error.to_string()))?;
        let empty = parsed.subject().as_raw();
        let whole = parsed.tbs_certificate.as_ref();
        // The empty subject comes right before the key.
        let key = parsed.public_key().raw;
        let pair = [empty, key].concat();
        let at = whole.windows(pair.len()).position(|bytes| bytes == pair);
        let at = at.ok_or_else(|| unreadable("it has no subject".to_owned()))?;
        let content = header_len(whole).ok_or_else(|| unreadable("it has no length".to_owned()))?;
        let tbs = [&whole[content..at], subject, &whole[at + empty.len()..]].concat();
        let tbs = element(SEQUENCE, &tbs);
        let mut signature = vec![0];
        signature.extend(self.key.sign(&tbs)?);
        let algorithm = algorithm(der, whole.len()).ok_or_else(|| unreadable("it has no algorithm".to_owned()))?;
        Ok(element(SEQUENCE, &[&tbs, algorithm, &element(BIT_STRING, &signature)].concat()))
    }
}

const SEQUENCE: u8 = 0x30;
const BIT_STRING: u8 = 0x03;

/// The element after the first one of a sequence.
fn algorithm(sequence: &[u8], first: usize) -> Option<&[u8]> {
    let rest = sequence.get(header_len(sequence)? + first..)?;
    let len = header_len(rest)? + content_len(rest)?;
    rest.get(..len)
}

/// Bytes before the content of an element (X.690): its tag and its length.
fn header_len(der: &[u8]) -> Option<usize> {
    let first = *der.get(1)?;
    Some(if first < 0x80 { 2 } else { 2 + usize::from(first & 0x7f) })
}

fn content_len(der: &[u8]) -> Option<usize> {
    let first = *der.get(1)?;
    if first < 0x80 {
        return Some(usize::from(first));
    }
    let bytes = der.get(2..header_len(der)?)?;
    Some(bytes.iter().fold(0, |len, byte| len << 8 | usize::from(*byte)))
}

/// An element with this content.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match u8::try_from(content.len()) {
        Ok(len) if len < 0x80 => out.push(len),
        _ => {
            let bytes = content.len().to_be_bytes();
            let bytes = &bytes[bytes.iter().take_while(|byte| **byte == 0).count()..];
            // A length has eight bytes at most.
            out.push(0x80 | u8::try_from(bytes.len()).unwrap_or_default());
            out.extend(bytes);
        }
    }
    out.extend(content);
    out
}

fn pem(der: &[u8]) -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = (0..text.len()).step_by(64).map(|at| &text[at..text.len().min(at + 64)]).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

fn names(request: &SigningRequest) -> Result<Vec<SanType>, PkiError> {
    let mut all = Vec::new();
    for name in &request.dns_names {
        all.push(SanType::DnsName(name.as_str().try_into()?));
    }
    for email in &request.emails {
        all.push(SanType::Rfc822Name(email.as_str().try_into()?));
    }
    all.extend(request.addresses.iter().map(|address| SanType::IpAddress(*address)));
    for uri in &request.uris {
        all.push(SanType::URI(uri.as_str().try_into()?));
    }
    Ok(all)
}

enum Purpose {
    Key(Usage),
    Extended(Extended),
}

/// Usages in the words of `certificates.k8s.io`.
fn of_name(name: &str) -> Option<Purpose> {
    let key = match name {
        "signing" | "digital signature" => Usage::DigitalSignature,
        "content commitment" => Usage::ContentCommitment,
        "key encipherment" => Usage::KeyEncipherment,
        "key agreement" => Usage::KeyAgreement,
        "data encipherment" => Usage::DataEncipherment,
        "cert sign" => Usage::KeyCertSign,
        "crl sign" => Usage::CrlSign,
        "encipher only" => Usage::EncipherOnly,
        "decipher only" => Usage::DecipherOnly,
        _ => return extended(name).map(Purpose::Extended),
    };
    Some(Purpose::Key(key))
}

fn extended(name: &str) -> Option<Extended> {
    // RFC 5280 and what browsers had of old.
    let ipsec = |last| Extended::Other(vec![1, 3, 6, 1, 5, 5, 7, 3, last]);
    Some(match name {
        "any" => Extended::Any,
        "server auth" => Extended::ServerAuth,
        "client auth" => Extended::ClientAuth,
        "code signing" => Extended::CodeSigning,
        "email protection" | "s/mime" => Extended::EmailProtection,
        "ipsec end system" => ipsec(5),
        "ipsec tunnel" => ipsec(6),
        "ipsec user" => ipsec(7),
        "timestamping" => Extended::TimeStamping,
        "ocsp signing" => Extended::OcspSigning,
        "microsoft sgc" => Extended::Other(vec![1, 3, 6, 1, 4, 1, 311, 10, 3, 3]),
        "netscape sgc" => Extended::Other(vec![2, 16, 840, 1, 113_730, 4, 1]),
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
