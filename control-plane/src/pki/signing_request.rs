//! What somebody asks to be certified (PKCS #10).
//!
//! In: PEM. Out: the subject, the names and the key of a request whose signature is right, or why
//! there is none, in upstream's words as far as those are not a parser's. Pure.

use std::net::IpAddr;

use x509_parser::{
    certification_request::X509CertificationRequest,
    extensions::{GeneralName, ParsedExtension},
    pem::Pem,
    prelude::FromDer,
};

use super::subject;

/// The label of its PEM block.
const LABEL: &str = "CERTIFICATE REQUEST";

/// A request whose signature is right.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SigningRequest {
    /// The common name: the user.
    pub common_name: String,
    /// The organisations: the groups.
    pub organizations: Vec<String>,
    /// Host names.
    pub dns_names: Vec<String>,
    /// Addresses.
    pub addresses: Vec<IpAddr>,
    /// Mail addresses.
    pub emails: Vec<String>,
    /// URIs.
    pub uris: Vec<String>,
    /// The whole subject in DER.
    pub(super) subject: Vec<u8>,
    /// The public key with its kind in DER.
    pub(super) public_key: Vec<u8>,
}

impl SigningRequest {
    /// Reads a request in PEM.
    ///
    /// # Errors
    /// Why it is none.
    pub fn parse(pem: &[u8]) -> Result<Self, String> {
        let no_block = || "PEM block type must be CERTIFICATE REQUEST".to_owned();
        let block = Pem::iter_from_buffer(pem).next().and_then(Result::ok).ok_or_else(no_block)?;
        if block.label != LABEL {
            return Err(no_block());
        }
        let parsed = X509CertificationRequest::from_der(&block.contents);
        let (rest, request) = parsed.map_err(|_| "x509: malformed certificate request".to_owned())?;
        if !rest.is_empty() {
            return Err("asn1: syntax error: trailing data".to_owned());
        }
        request.verify_signature().map_err(|_| "x509: the signature of the request is not right".to_owned())?;
        Self::of(&request)
    }

    fn of(request: &X509CertificationRequest<'_>) -> Result<Self, String> {
        let info = &request.certification_request_info;
        let mut read = Self {
            common_name: subject::user(&info.subject)?.to_owned(),
            organizations: subject::groups(&info.subject)?,
            subject: info.subject.as_raw().to_vec(),
            public_key: info.subject_pki.raw.to_vec(),
            ..Self::default()
        };
        let extensions = request.requested_extensions().into_iter().flatten();
        for extension in extensions {
            if let ParsedExtension::SubjectAlternativeName(names) = extension {
                names.general_names.iter().try_for_each(|name| read.add(name))?;
            }
        }
        Ok(read)
    }

    fn add(&mut self, name: &GeneralName<'_>) -> Result<(), String> {
        match name {
            GeneralName::DNSName(name) => self.dns_names.push((*name).to_owned()),
            GeneralName::RFC822Name(name) => self.emails.push((*name).to_owned()),
            GeneralName::URI(name) => self.uris.push((*name).to_owned()),
            GeneralName::IPAddress(bytes) => self.addresses.push(address(bytes)?),
            // As upstream: other kinds of names are neither looked at nor signed.
            _ => {}
        }
        Ok(())
    }
}

fn address(bytes: &[u8]) -> Result<IpAddr, String> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Ok(four.into());
    }
    let sixteen = <[u8; 16]>::try_from(bytes);
    sixteen.map(IpAddr::from).map_err(|_| format!("x509: cannot parse IP address of length {}", bytes.len()))
}

#[cfg(test)]
mod tests;
