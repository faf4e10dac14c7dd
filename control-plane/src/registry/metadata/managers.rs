//! The names under which clients own fields.
//!
//! In: what clients call themselves. Out: the same as a name, or what is wrong with it.

use std::borrow::Cow;

use nodeplane_api::status::FieldErrors;

use crate::registry::fields::At;

/// The longest name, in bytes (upstream's `FieldManagerMaxLength`).
const LIMIT: usize = 128;
/// The longest name of a part of an object, in bytes.
const PART_LIMIT: usize = 256;

/// The name of a client that gives none: what its `User-Agent` begins with.
pub fn of_user_agent(user_agent: &str) -> Cow<'_, str> {
    let start = user_agent.split('/').next().unwrap_or_default();
    if start.len() <= LIMIT && start.chars().all(is_printable) {
        return Cow::Borrowed(start);
    }
    let mut name = String::new();
    for c in start.chars().filter(|c| is_printable(*c)) {
        if name.len() + c.len_utf8() > LIMIT {
            break;
        }
        name.push(c);
    }
    Cow::Owned(name)
}

/// Adds what is wrong with a name.
pub fn check_name(name: &str, path: &str, errors: &mut FieldErrors) {
    if name.len() > LIMIT {
        errors.too_long(path, LIMIT);
    }
    for (at, c) in name.char_indices().filter(|(_, c)| !is_printable(*c)) {
        errors.invalid(path, name, format!("invalid character U+{:04X} (at position {at})", u32::from(c)));
    }
}

/// Adds what is wrong with `metadata.managedFields`. What cannot be read as an owner never gets
/// here: it is not taken over.
pub(super) fn check_entries(entries: &At<'_>, errors: &mut FieldErrors) {
    for entry in entries.items() {
        let manager = entry.field("manager");
        check_name(manager.text(), &manager.path, errors);
        let part = entry.field("subresource");
        if part.text().len() > PART_LIMIT {
            errors.too_long(part.path, PART_LIMIT);
        }
    }
}

/// Whether Go takes a character for one that can be printed.
fn is_printable(c: char) -> bool {
    match c {
        ' '..='~' => true,
        _ if c.is_ascii() || c.is_whitespace() => false,
        // What stands at the start of a text is escaped more often.
        _ => ['a', c].iter().collect::<String>().escape_debug().eq(['a', c]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_first_segment_of_a_user_agent() {
        for (user_agent, name) in [
            ("kubectl/v1.33.0 (linux/amd64) kubernetes/abc", "kubectl"),
            ("Go-http-client", "Go-http-client"),
            ("", ""),
            ("/x", ""),
            ("a\u{7}b\u{200b}c é/1", "abc é"),
        ] {
            assert_eq!(of_user_agent(user_agent), name);
        }
        assert_eq!(of_user_agent(&"é".repeat(100)), "é".repeat(64));
        assert_eq!(of_user_agent(&format!("a{}", "é".repeat(100))), format!("a{}", "é".repeat(63)));
    }

    #[test]
    fn names_are_short_and_can_be_printed() {
        let wrong = |name: &str| {
            let mut errors = FieldErrors::default();
            check_name(name, "fieldManager", &mut errors);
            errors.0.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert!(wrong("kubectl-client side \"apply\" é").is_empty());
        assert_eq!(wrong(&"x".repeat(129)), ["fieldManager: Too long: may not be more than 128 bytes"]);
        assert_eq!(
            wrong("a\tb\u{200b}"),
            [
                "fieldManager: Invalid value: \"a\\tb\u{200b}\": invalid character U+0009 (at position 1)",
                "fieldManager: Invalid value: \"a\\tb\u{200b}\": invalid character U+200B (at position 3)",
            ]
        );
    }
}
