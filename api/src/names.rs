//! Which strings may be names, label keys, label values, port names: each function returns the
//! sentences that Kubernetes 1.33 prints for what is wrong (apimachinery `util/validation`),
//! none when the string is right.

/// Longest RFC 1123 or RFC 1035 label, in bytes.
pub const LABEL_MAX: usize = 63;
/// Longest DNS subdomain, in bytes.
pub const SUBDOMAIN_MAX: usize = 253;

const LABEL_1123_FORMAT: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const LABEL_1123_WORDS: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', \
     and must start and end with an alphanumeric character";
const SUBDOMAIN_FORMAT: &str = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
const SUBDOMAIN_WORDS: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, \
     '-' or '.', and must start and end with an alphanumeric character";
const WILDCARD_WORDS: &str = "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, \
     which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character";
const LABEL_1035_FORMAT: &str = "[a-z]([-a-z0-9]*[a-z0-9])?";
const LABEL_1035_WORDS: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', \
     start with an alphabetic character, and end with an alphanumeric character";
const QUALIFIED_FORMAT: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const QUALIFIED_WORDS: &str = "must consist of alphanumeric characters, '-', '_' or '.', \
     and must start and end with an alphanumeric character";
const LABEL_VALUE_FORMAT: &str = "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?";
const LABEL_VALUE_WORDS: &str = "a valid label must be an empty string or consist of alphanumeric characters, \
     '-', '_' or '.', and must start and end with an alphanumeric character";
const CONFIG_KEY_FORMAT: &str = "[-._a-zA-Z0-9]+";
const CONFIG_KEY_WORDS: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'";
const HEADER_FORMAT: &str = "[-A-Za-z0-9]+";
const HEADER_WORDS: &str = "a valid HTTP header must consist of alphanumeric characters or '-'";
const PERCENT_FORMAT: &str = "[0-9]+%";
const PERCENT_WORDS: &str = "a valid percent string must be a numeric string followed by an ending '%'";
const ENV_WORDS: &str =
    "a valid environment variable name must consist only of printable ASCII characters other than '='";

/// An RFC 1123 label: a namespace, a container, a port of a Service.
pub fn label_1123(value: &str) -> Vec<String> {
    let mut wrong = too_long(value, LABEL_MAX);
    if !is_label_1123(value) {
        wrong.push(if is_subdomain(value) {
            "must not contain dots".to_owned()
        } else {
            mismatch(LABEL_1123_WORDS, LABEL_1123_FORMAT, &["my-name", "123-abc"])
        });
    }
    wrong
}

/// An RFC 1123 subdomain: the name of most objects.
pub fn subdomain(value: &str) -> Vec<String> {
    let mut wrong = too_long(value, SUBDOMAIN_MAX);
    if !is_subdomain(value) {
        wrong.push(mismatch(SUBDOMAIN_WORDS, SUBDOMAIN_FORMAT, &["example.com"]));
    }
    wrong
}

/// An RFC 1035 label: the name of a Service.
pub fn label_1035(value: &str) -> Vec<String> {
    let mut wrong = too_long(value, LABEL_MAX);
    if !(is_label_1123(value) && value.starts_with(|c: char| c.is_ascii_lowercase())) {
        wrong.push(mismatch(LABEL_1035_WORDS, LABEL_1035_FORMAT, &["my-name", "abc-123"]));
    }
    wrong
}

/// A qualified name, which is what label keys, annotation keys and finalizers are:
/// `name` or `example.com/name`.
pub fn qualified(value: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let parts: Vec<&str> = value.split('/').collect();
    let name = match parts.as_slice() {
        [name] => name,
        [prefix, name] => {
            if prefix.is_empty() {
                wrong.push("prefix part must be non-empty".to_owned());
            } else {
                wrong.extend(subdomain(prefix).into_iter().map(|words| format!("prefix part {words}")));
            }
            name
        }
        _ => {
            let words = mismatch(QUALIFIED_WORDS, QUALIFIED_FORMAT, &["MyName", "my.name", "123-abc"]);
            return vec![format!(
                "a qualified name {words} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            )];
        }
    };
    if name.is_empty() {
        wrong.push("name part must be non-empty".to_owned());
    } else {
        wrong.extend(too_long(name, LABEL_MAX).into_iter().map(|words| format!("name part {words}")));
    }
    if !is_qualified_part(name) {
        let words = mismatch(QUALIFIED_WORDS, QUALIFIED_FORMAT, &["MyName", "my.name", "123-abc"]);
        wrong.push(format!("name part {words}"));
    }
    wrong
}

/// The value of a label.
pub fn label_value(value: &str) -> Vec<String> {
    let mut wrong = too_long(value, LABEL_MAX);
    if !value.is_empty() && !is_qualified_part(value) {
        wrong.push(mismatch(LABEL_VALUE_WORDS, LABEL_VALUE_FORMAT, &["MyValue", "my_value", "12345"]));
    }
    wrong
}

/// A key of a ConfigMap or Secret, which becomes a file name.
pub fn config_key(value: &str) -> Vec<String> {
    let mut wrong = too_long(value, SUBDOMAIN_MAX);
    if value.is_empty() || !value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)) {
        wrong.push(mismatch(CONFIG_KEY_WORDS, CONFIG_KEY_FORMAT, &["key.name", "KEY_NAME", "key-name"]));
    }
    wrong.extend(parent_directory(value));
    wrong
}

/// The name of an environment variable: any printable ASCII but `=` (KEP-4369).
pub fn env_var(value: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if value.is_empty() {
        wrong.push("environment variable name must be non-empty".to_owned());
    }
    if !value.bytes().all(|b| (b' '..=b'~').contains(&b) && b != b'=') {
        wrong.push(ENV_WORDS.to_owned());
    }
    wrong
}

/// The name of a container port (IANA service name, RFC 6335).
pub fn port_name(value: &str) -> Vec<String> {
    let mut wrong = too_long(value, 15);
    if value.is_empty() || !value.bytes().all(is_dash_alphanumeric) {
        wrong.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)".to_owned());
    }
    if !value.bytes().any(|b| b.is_ascii_lowercase()) {
        wrong.push("must contain at least one letter (a-z)".to_owned());
    }
    if value.contains("--") {
        wrong.push("must not contain consecutive hyphens".to_owned());
    }
    if value.starts_with('-') || value.ends_with('-') {
        wrong.push("must not begin or end with a hyphen".to_owned());
    }
    wrong
}

/// The number of a port.
pub fn port_number(value: i64) -> Vec<String> {
    if (1..=65535).contains(&value) { Vec::new() } else { vec!["must be between 1 and 65535, inclusive".to_owned()] }
}

/// The name of an HTTP header.
pub fn http_header(value: &str) -> Vec<String> {
    if !value.is_empty() && value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        return Vec::new();
    }
    vec![mismatch(HEADER_WORDS, HEADER_FORMAT, &["X-Header-Name"])]
}

/// A name that stands between two slashes of a path.
pub fn path_segment(value: &str) -> Vec<String> {
    if matches!(value, "." | "..") {
        return vec![format!("may not be '{value}'")];
    }
    ['/', '%'].iter().filter(|c| value.contains(**c)).map(|c| format!("may not contain '{c}'")).collect()
}

/// A share such as `25%`.
pub fn percent(value: &str) -> Vec<String> {
    match value.strip_suffix('%') {
        Some(digits) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => Vec::new(),
        _ => vec![mismatch(PERCENT_WORDS, PERCENT_FORMAT, &["1%", "93%"])],
    }
}

/// All subdomains of a subdomain: `*.example.com`.
pub fn wildcard_subdomain(value: &str) -> Vec<String> {
    let mut wrong = too_long(value, SUBDOMAIN_MAX);
    if !value.strip_prefix("*.").is_some_and(is_subdomain) {
        wrong.push(mismatch(WILDCARD_WORDS, &format!(r"\*\.{SUBDOMAIN_FORMAT}"), &["*.example.com"]));
    }
    wrong
}

/// What is wrong with a path element that could climb out of its directory.
fn parent_directory(value: &str) -> Option<String> {
    match value {
        "." => Some("must not be '.'".to_owned()),
        ".." => Some("must not be '..'".to_owned()),
        _ if value.starts_with("..") => Some("must not start with '..'".to_owned()),
        _ => None,
    }
}

fn is_dash_alphanumeric(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'
}

fn is_label_1123(value: &str) -> bool {
    !value.is_empty() && value.bytes().all(is_dash_alphanumeric) && !value.starts_with('-') && !value.ends_with('-')
}

fn is_subdomain(value: &str) -> bool {
    value.split('.').all(is_label_1123)
}

fn is_qualified_part(value: &str) -> bool {
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = value.as_bytes();
    edge(bytes.first()) && edge(bytes.last()) && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b))
}

fn too_long(value: &str, limit: usize) -> Vec<String> {
    if value.len() > limit { vec![format!("must be no more than {limit} characters")] } else { Vec::new() }
}

fn mismatch(words: &str, format: &str, examples: &[&str]) -> String {
    let examples: Vec<String> = examples.iter().map(|example| format!("'{example}', ")).collect();
    format!("{words} (e.g. {}regex used for validation is '{format}')", examples.join(" or "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_object_name_gets_the_sentence_of_upstream() {
        assert_eq!(
            subdomain("Foo"),
            [
                "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must \
              start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
              '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
            ]
        );
        assert_eq!(
            label_1123("a_b"),
            ["a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start \
              and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
              '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"]
        );
    }

    #[test]
    fn good_names_pass_and_bad_ones_do_not() {
        for good in ["a", "a-b", "0", "a.b.c", "example.com"] {
            assert!(subdomain(good).is_empty(), "{good}");
        }
        for bad in ["", "-a", "a-", "a..b", ".a", "A", "a_b", &"a".repeat(254)] {
            assert!(!subdomain(bad).is_empty(), "{bad}");
        }
        assert!(label_1035("web").is_empty() && !label_1035("1web").is_empty());
        assert_eq!(label_1123("a.b"), ["must not contain dots"]);
        for good in ["app", "example.com/app", "a.b_c-D", "X"] {
            assert!(qualified(good).is_empty(), "{good}");
        }
        for bad in ["", "/a", "a/", "a/b/c", "_a", "Example.com/a"] {
            assert!(!qualified(bad).is_empty(), "{bad}");
        }
        assert!(label_value("").is_empty() && !label_value("a b").is_empty());
        assert!(config_key("a.b").is_empty() && config_key("..a") == ["must not start with '..'"]);
        assert!(port_name("http-2").is_empty() && !port_name("80").is_empty() && !port_name("a--b").is_empty());
        assert!(env_var("A.b c").is_empty() && !env_var("a=b").is_empty());
        assert!(percent("25%").is_empty() && !percent("25").is_empty());
    }

    #[test]
    fn roles_may_have_any_name_that_fits_a_path() {
        assert_eq!(path_segment("system:node:A.b"), Vec::<String>::new());
        assert_eq!(path_segment(".."), ["may not be '..'"]);
        assert_eq!(path_segment("a/b%"), ["may not contain '/'", "may not contain '%'"]);
    }

    #[test]
    fn wildcards_stand_in_front() {
        assert_eq!(wildcard_subdomain("*.example.com"), Vec::<String>::new());
        for wrong in ["*", "*.", "a.*.com", "*.*.com", "*.Example.com"] {
            let words = wildcard_subdomain(wrong).join("");
            assert!(words.starts_with("a wildcard DNS-1123 subdomain must start with '*.'"), "{wrong}: {words}");
            assert!(words.contains(r"(e.g. '*.example.com', regex used for validation is '\*\.[a-z0-9]"), "{words}");
        }
    }
}
