//! Which credentials fit which image.

use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};

use super::{fits, fitting, of_image, of_server};

fn secret(kind: &str, key: &str, content: &Value) -> Secret {
    let data = [(key.to_owned(), k8s_openapi::ByteString(content.to_string().into_bytes()))];
    Secret { type_: Some(kind.to_owned()), data: Some(data.into()), ..Secret::default() }
}

fn config(auths: &Value) -> Secret {
    secret("kubernetes.io/dockerconfigjson", ".dockerconfigjson", &json!({ "auths": auths }))
}

fn names(secret: &Secret, image: &str) -> Vec<String> {
    fitting(secret, image).expect("credentials").into_iter().map(|one| one.username).collect()
}

#[test]
fn the_most_exact_registry_comes_first_and_others_do_not_fit() {
    let secret = config(&json!({
        "registry.example": { "username": "whole", "password": "p" },
        "https://registry.example/team": { "username": "team", "password": "p" },
        "registry.example:5000": { "username": "port", "password": "p" },
        "https://index.docker.io/v1/": { "username": "hub", "password": "p" },
        "*.cloud.example": { "username": "star", "password": "p" },
    }));
    for (image, expected) in [
        ("registry.example/team/app:1", vec!["team", "whole"]),
        ("registry.example/other@sha256:1", vec!["whole"]),
        ("registry.example:5000/team/app", vec!["port"]),
        ("app", vec!["hub"]),
        ("library/app:1", vec!["hub"]),
        ("docker.io/library/app", vec!["hub"]),
        ("a.cloud.example/app", vec!["star"]),
        ("a.b.cloud.example/app", vec![]),
        ("evil-registry.example/app", vec![]),
    ] {
        assert_eq!(names(&secret, image), expected, "{image}");
    }
}

#[test]
fn both_kinds_of_secrets_are_read_and_nothing_else() {
    let auth = json!({ "r.example": { "auth": "bWU6bXk6d29yZA==" } });
    for secret in [config(&auth), secret("kubernetes.io/dockercfg", ".dockercfg", &auth)] {
        let found = fitting(&secret, "r.example/app").expect("credentials").remove(0);
        assert_eq!((found.username.as_str(), found.password.as_str()), ("me", "my:word"));
        assert!(!format!("{found:?}").contains("word"), "{found:?}");
    }
    let token = config(&json!({ "r.example": { "identitytoken": "t" } }));
    assert_eq!(fitting(&token, "r.example/app").expect("credentials")[0].identity_token, "t");
    assert!(fitting(&secret("Opaque", ".dockerconfigjson", &json!({ "auths": auth })), "r.example/app").is_none());
    assert!(fitting(&secret("kubernetes.io/dockercfg", ".dockercfg", &json!("no")), "r.example/app").is_none());
}

#[test]
fn names_are_compared_by_their_parts() {
    assert_eq!(of_image("localhost:5000/a/b:1"), "localhost:5000/a/b");
    assert_eq!(of_image("a/b"), "index.docker.io/a/b");
    assert_eq!(of_server("https://docker.io/v2/"), "index.docker.io");
    assert!(fits("r-*-x.example", "r-abc-x.example/app") && !fits("r-*-x.example", "r-abc.example/app"));
}
