//! Whom the subject of a certificate names.
//!
//! In: a subject. Out: the user and the groups in it. The only reader of both: who is signed for
//! and who is let in must never differ.

use x509_parser::x509::{AttributeTypeAndValue, X509Name};

/// The user: the last common name, as Go's `pkix` has it; empty when there is none.
///
/// # Errors
/// When a common name is no text.
pub(crate) fn user<'a>(subject: &'a X509Name<'_>) -> Result<&'a str, String> {
    let names = subject.iter_common_name().map(AttributeTypeAndValue::as_str);
    let names: Result<Vec<_>, _> = names.collect();
    let names = names.map_err(|_| "x509: the subject's common name is no text".to_owned())?;
    Ok(names.last().copied().unwrap_or_default())
}

/// The groups: the organisations.
///
/// # Errors
/// When one is no text.
pub(crate) fn groups(subject: &X509Name<'_>) -> Result<Vec<String>, String> {
    let names: Result<Vec<_>, _> = subject.iter_organization().map(|name| name.as_str().map(str::to_owned)).collect();
    names.map_err(|_| "x509: the subject's organization is no text".to_owned())
}

#[cfg(test)]
mod tests;
