use x509_parser::prelude::FromDer;

use super::*;

const UTF8: u8 = 0x0c;
const BMP: u8 = 0x1e;
const COMMON_NAME: u8 = 3;
const ORGANIZATION: u8 = 10;

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    [&[tag, u8::try_from(content.len()).unwrap()], content].concat()
}

/// A subject in DER.
fn subject(parts: &[(u8, u8, &str)]) -> Vec<u8> {
    let sets = parts.iter().flat_map(|(attribute, tag, text)| {
        let pair = [vec![6, 3, 0x55, 4, *attribute], element(*tag, text.as_bytes())].concat();
        element(0x31, &element(0x30, &pair))
    });
    element(0x30, &sets.collect::<Vec<u8>>())
}

fn user_of(parts: &[(u8, u8, &str)]) -> Result<String, String> {
    let der = subject(parts);
    let (_, name) = X509Name::from_der(&der).unwrap();
    user(&name).map(str::to_owned)
}

#[test]
fn the_user_is_the_last_common_name_for_every_reader() {
    let two = [(COMMON_NAME, UTF8, "admin"), (ORGANIZATION, UTF8, "dev"), (COMMON_NAME, UTF8, "jane")];
    assert_eq!(user_of(&two).unwrap(), "jane");
    assert_eq!(user_of(&[(ORGANIZATION, UTF8, "dev")]).unwrap(), "");
}

#[test]
fn a_name_that_is_no_text_is_an_error_and_never_skipped() {
    for parts in [
        [(COMMON_NAME, UTF8, "admin"), (COMMON_NAME, BMP, "jane")],
        [(COMMON_NAME, BMP, "jane"), (COMMON_NAME, UTF8, "admin")],
    ] {
        assert!(user_of(&parts).unwrap_err().contains("common name"));
    }
    let der = subject(&[(ORGANIZATION, UTF8, "dev"), (ORGANIZATION, BMP, "jane")]);
    assert!(groups(&X509Name::from_der(&der).unwrap().1).unwrap_err().contains("organization"));
}
