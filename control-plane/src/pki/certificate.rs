//! What a certificate says, how it is issued, and whether one on disk still says it.
//!
//! In: a [`Request`] and the authority. Out: an [`Identity`]. Never reads or writes files, and
//! takes the time as a parameter.

use std::{collections::BTreeSet, net::IpAddr};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType,
};
use time::{Duration, OffsetDateTime};
use x509_parser::{
    certificate::X509Certificate,
    extensions::{GeneralName, ParsedExtension},
    pem::parse_x509_pem,
};

use super::{Identity, PkiError, subject};

/// Clocks differ a little; a certificate is valid from a bit before its making.
const BACKDATE: Duration = Duration::minutes(5);
/// Lifetime of the authority, as kubeadm's.
const CA_LIFETIME: Duration = Duration::days(3650);
/// Lifetime of everything else, as kubeadm's.
const LIFETIME: Duration = Duration::days(365);
/// A certificate with less time left is renewed.
const RENEW_BEFORE: Duration = Duration::days(30);

/// A name under which a server is reached.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum San {
    /// A host name.
    Dns(String),
    /// An address.
    Ip(IpAddr),
}

impl From<&str> for San {
    /// An address when it reads as one, else a name.
    fn from(text: &str) -> Self {
        text.parse().map_or_else(|_| San::Dns(text.to_owned()), San::Ip)
    }
}

impl From<IpAddr> for San {
    fn from(ip: IpAddr) -> Self {
        San::Ip(ip)
    }
}

/// What a certificate shall say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    /// Common name: the user.
    pub(super) user: String,
    /// Organization: the group of the user.
    pub(super) group: Option<String>,
    /// Names of the server.
    pub(super) sans: BTreeSet<San>,
    /// Whether servers take it.
    pub(super) client_auth: bool,
    /// Whether clients take it.
    pub(super) server_auth: bool,
}

/// The authority's own certificate, signed by its key.
pub(super) fn authority(key: &KeyPair, now: OffsetDateTime) -> Result<String, PkiError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = name("kubernetes", None);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
    (params.not_before, params.not_after) = (now - BACKDATE, now + CA_LIFETIME);
    Ok(params.self_signed(key)?.pem())
}

/// A new key.
pub(super) fn new_key() -> Result<KeyPair, PkiError> {
    Ok(KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?)
}

impl Request {
    /// Makes a key and signs a certificate for it.
    pub(super) fn issue(&self, issuer: &Issuer<'_, KeyPair>, now: OffsetDateTime) -> Result<Identity, PkiError> {
        let key = new_key()?;
        let mut params = CertificateParams::default();
        params.distinguished_name = name(&self.user, self.group.as_deref());
        params.subject_alt_names = self.sans.iter().map(san_type).collect::<Result<_, _>>()?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        if self.client_auth {
            params.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth);
        }
        if self.server_auth {
            params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
        }
        params.use_authority_key_identifier_extension = true;
        (params.not_before, params.not_after) = (now - BACKDATE, now + LIFETIME);
        let certificate = params.signed_by(&key, issuer)?;
        Ok(Identity { cert_pem: certificate.pem(), key_pem: key.serialize_pem() })
    }

    /// Whether an identity says just this, belongs to the authority, and lasts long enough.
    pub(super) fn is_met_by(&self, identity: &Identity, ca_pem: &str, now: OffsetDateTime) -> bool {
        let Ok(key) = KeyPair::from_pem(&identity.key_pem) else { return false };
        with_certificate(ca_pem, |ca| {
            with_certificate(&identity.cert_pem, |leaf| {
                let signed = leaf.verify_signature(Some(ca.public_key())).is_ok();
                signed && holds(leaf, &key) && lasts(leaf, now) && self.is_said_by(leaf)
            })
        })
    }

    fn is_said_by(&self, leaf: &X509Certificate<'_>) -> bool {
        let name = leaf.subject();
        let groups: Vec<_> = name.iter_organization().map(|group| group.as_str().ok()).collect();
        let wanted: Vec<_> = self.group.iter().map(|group| Some(group.as_str())).collect();
        let usage = leaf.extended_key_usage().ok().flatten().map(|usage| usage.value);
        subject::user(name) == Ok(self.user.as_str())
            && groups == wanted
            && usage.is_some_and(|usage| (usage.client_auth, usage.server_auth) == (self.client_auth, self.server_auth))
            && sans_of(leaf).as_ref() == Some(&self.sans)
    }
}

/// Whether a certificate in PEM is valid at a time.
pub(super) fn is_valid(pem: &str, now: OffsetDateTime) -> bool {
    with_certificate(pem, |certificate| {
        let validity = certificate.validity();
        validity.not_before.to_datetime() <= now && now < validity.not_after.to_datetime()
    })
}

/// Whether a certificate in PEM is for a key.
pub(super) fn is_of(pem: &str, key: &KeyPair) -> bool {
    with_certificate(pem, |certificate| holds(certificate, key))
}

fn with_certificate(pem: &str, check: impl FnOnce(&X509Certificate<'_>) -> bool) -> bool {
    let Ok((_, parsed)) = parse_x509_pem(pem.as_bytes()) else { return false };
    parsed.parse_x509().is_ok_and(|certificate| check(&certificate))
}

fn holds(certificate: &X509Certificate<'_>, key: &KeyPair) -> bool {
    *certificate.public_key().subject_public_key.data == *key.public_key_raw()
}

fn lasts(certificate: &X509Certificate<'_>, now: OffsetDateTime) -> bool {
    let validity = certificate.validity();
    validity.not_before.to_datetime() <= now && now + RENEW_BEFORE < validity.not_after.to_datetime()
}

fn sans_of(leaf: &X509Certificate<'_>) -> Option<BTreeSet<San>> {
    let extensions = leaf.extensions().iter();
    let names = extensions.filter_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectAlternativeName(names) => Some(&names.general_names),
        _ => None,
    });
    names.flatten().map(san_of).collect()
}

fn san_of(name: &GeneralName<'_>) -> Option<San> {
    match name {
        GeneralName::DNSName(name) => Some(San::Dns((*name).to_owned())),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(|bytes| San::Ip(bytes.into())),
            _ => <[u8; 16]>::try_from(*bytes).ok().map(|bytes| San::Ip(bytes.into())),
        },
        _ => None,
    }
}

fn san_type(san: &San) -> Result<SanType, PkiError> {
    Ok(match san {
        San::Dns(name) => SanType::DnsName(name.as_str().try_into()?),
        San::Ip(ip) => SanType::IpAddress(*ip),
    })
}

fn name(user: &str, group: Option<&str>) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    if let Some(group) = group {
        name.push(DnType::OrganizationName, group);
    }
    name.push(DnType::CommonName, user);
    name
}
