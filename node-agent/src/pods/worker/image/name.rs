//! Names of images (the distribution project's grammar of references): `[HOST[:PORT]/]PATH[:TAG][@DIGEST]`.
//!
//! In: a text. Out: nothing, or what is wrong with it in the words of that project. Never asks an engine: engines differ
//! in their answers, and a strange name would even ask them for something else.

/// Total length of a path.
const LONGEST: usize = 255;

/// Whether a container can have this image at all.
///
/// # Errors
/// In the words that people know.
pub(super) fn check(reference: &str) -> Result<(), String> {
    if reference.len() == 64 && reference.bytes().all(is_lower_hex) {
        return Err(format!("invalid repository name ({reference}), cannot specify 64-byte hexadecimal strings"));
    }
    let invalid = || "invalid reference format".to_owned();
    let (named, digest) = reference.split_once('@').map_or((reference, None), |(named, digest)| (named, Some(digest)));
    let (host, rest) = split_host(named);
    let (path, tag) = rest.split_once(':').map_or((rest, None), |(path, tag)| (path, Some(tag)));
    if path.chars().any(char::is_uppercase) {
        let familiar = if host.is_none() && !path.contains('/') { "library/" } else { "" };
        return Err(format!("invalid reference format: repository name ({familiar}{path}) must be lowercase"));
    }
    let is_valid = host.is_none_or(is_host)
        && path.split('/').all(is_component)
        && tag.is_none_or(is_tag)
        && digest.is_none_or(is_digest);
    if !is_valid {
        return Err(invalid());
    }
    if path.len() > LONGEST {
        return Err(format!("repository name must not be more than {LONGEST} characters"));
    }
    Ok(())
}

/// The first part is a host when it cannot be a part of a path on the default one.
fn split_host(named: &str) -> (Option<&str>, &str) {
    match named.split_once('/') {
        Some((first, rest))
            if first == "localhost" || first.contains(['.', ':']) || first.chars().any(char::is_uppercase) =>
        {
            (Some(first), rest)
        }
        _ => (None, named),
    }
}

fn is_host(host: &str) -> bool {
    let (name, port) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) if address.bytes().all(|byte| byte == b':' || byte.is_ascii_hexdigit()) => {
            return !address.is_empty() && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port));
        }
        _ => host.split_once(':').map_or((host, None), |(name, port)| (name, Some(port))),
    };
    let is_label = |label: &str| {
        let ends = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
        ends(label.bytes().next())
            && ends(label.bytes().last())
            && label.bytes().all(|byte| byte == b'-' || byte.is_ascii_alphanumeric())
    };
    name.split('.').all(is_label) && port.is_none_or(is_port)
}

fn is_port(port: &str) -> bool {
    !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())
}

/// Lower-case letters and digits, between them one period, one or two underscores, or dashes.
fn is_component(component: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = component.as_bytes();
    let has_ends = bytes.first().is_some_and(|byte| is_word(*byte)) && bytes.last().is_some_and(|byte| is_word(*byte));
    let between = component.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit()).filter(|gap| !gap.is_empty());
    has_ends && { between }.all(|gap| matches!(gap, "." | "_" | "__") || gap.bytes().all(|byte| byte == b'-'))
}

fn is_tag(tag: &str) -> bool {
    let is_word = |byte: u8| byte == b'_' || byte.is_ascii_alphanumeric();
    tag.len() <= 128
        && tag.bytes().next().is_some_and(is_word)
        && tag.bytes().all(|byte| is_word(byte) || byte == b'.' || byte == b'-')
}

fn is_digest(digest: &str) -> bool {
    let Some((algorithm, hex)) = digest.split_once(':') else { return false };
    let is_part = |part: &str| {
        part.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic())
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    let length = match algorithm {
        "sha256" => hex.len() == 64,
        "sha384" => hex.len() == 96,
        "sha512" => hex.len() == 128,
        _ => hex.len() >= 32,
    };
    algorithm.split(['-', '_', '+', '.']).all(is_part) && length && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_lower_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

#[cfg(test)]
mod tests;
