//! Names that are, and names that cannot be.

use super::check;

#[test]
fn names_of_images_are_taken() {
    for name in [
        "app",
        "app:1",
        "nodeplane/hello:1",
        "registry:5000/a/b-c__d.e:v1.2_x-3",
        "localhost/app",
        "Example.org/app",
        "HOST/app",
        "10.0.0.1:5000/app",
        "[fd00::1]:5000/app",
        "a--b/c---d",
        &format!("app:1@sha256:{}", "0a".repeat(32)),
        &"deadbeef".repeat(4),
    ] {
        assert_eq!(check(name), Ok(()), "{name}");
    }
}

#[test]
fn names_that_cannot_be_are_refused() {
    let long = "a".repeat(129);
    for name in [
        "",
        "app:",
        "app: 1",
        "a b",
        "http://host/app",
        "app?x",
        "a___b",
        "a..b",
        "-a",
        "a-",
        "/app",
        "a//b",
        "host:port/app",
        "-host.org/app",
        "app@sha256:12",
        "app@0a",
        &format!("app:{long}"),
    ] {
        assert_eq!(check(name), Err("invalid reference format".to_owned()), "{name}");
    }
}

#[test]
fn upper_case_lengths_and_ids_have_words_of_their_own() {
    let told = |name: &str| check(name).expect_err("it is refused");
    let lowercase = |path: &str| format!("invalid reference format: repository name ({path}) must be lowercase");
    assert_eq!(told("UPPER"), lowercase("library/UPPER"));
    assert_eq!(told("a/Upper:1"), lowercase("a/Upper"));
    assert_eq!(told("example.org/Upper"), lowercase("Upper"));
    let id = "0123456789abcdef".repeat(4);
    assert_eq!(told(&id), format!("invalid repository name ({id}), cannot specify 64-byte hexadecimal strings"));
    assert_eq!(told(&"a".repeat(256)), "repository name must not be more than 255 characters");
}
