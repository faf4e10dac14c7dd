//! Pull policies.

use std::time::Duration;

use k8s_openapi::api::core::v1::Container;

use super::{go_seconds, policy};

#[test]
fn the_policy_follows_from_the_tag_when_none_is_given() {
    for (image, given, expected) in [
        ("app:1", None, "IfNotPresent"),
        ("app:latest", None, "Always"),
        ("app", None, "Always"),
        ("registry:5000/app", None, "Always"),
        ("registry:5000/app:1", None, "IfNotPresent"),
        ("app@sha256:00", None, "IfNotPresent"),
        ("app", Some("Never"), "Never"),
        ("app:1", Some(""), "IfNotPresent"),
    ] {
        let container = Container {
            image: Some(image.to_owned()),
            image_pull_policy: given.map(str::to_owned),
            ..Container::default()
        };
        assert_eq!(policy(&container), expected, "{image} {given:?}");
    }
}

#[test]
fn times_read_like_go() {
    for (milliseconds, text) in [(0, "0ms"), (56, "56ms"), (1000, "1s"), (1200, "1.2s"), (13_210, "13.21s")] {
        assert_eq!(go_seconds(Duration::from_millis(milliseconds)), text);
    }
}
