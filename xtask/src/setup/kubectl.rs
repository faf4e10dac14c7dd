//! Which kubectl this machine has, and what its distance to the API means.
//!
//! In: what `kubectl version` says. Out: one line. Never: replaces a kubectl, which is its owner's.

use serde::Deserialize;

use crate::cmd::{Cmd, find_program};

/// The minor version of the API that the server speaks.
const API: u32 = 33;

/// How far a kubectl may be from its server for Kubernetes to support the pair.
const SUPPORTED: u32 = 1;

/// From here on kubectl reads `OpenAPI` v3; the server describes kinds in v3 alone.
const READS_OPENAPI_V3: u32 = 27;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    client_version: Version,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    /// `20`, or `20+` for builds of others.
    minor: String,
    git_version: String,
}

/// One line about the kubectl on this machine.
pub(crate) fn describe() -> Option<String> {
    let program = find_program("kubectl")?;
    let answer = Cmd::new(&program).args(["version", "--client", "--output", "json"]).read().unwrap_or_default();
    let told = told(&answer).unwrap_or_else(|| format!("does not tell its version; the API is 1.{API}"));
    Some(format!("{}, {told}", program.display()))
}

fn told(answer: &str) -> Option<String> {
    let Answer { client_version: Version { minor, git_version } } = serde_json::from_str(answer).ok()?;
    let minor: u32 = minor.trim_end_matches(|end: char| !end.is_ascii_digit()).parse().ok()?;
    Some(format!("{git_version}{}", meaning(minor)))
}

/// What a user of this version must know.
fn meaning(minor: u32) -> String {
    let distance = minor.abs_diff(API);
    if distance <= SUPPORTED {
        return String::new();
    }
    let side = if minor < API { "older" } else { "newer" };
    let lacks = if minor < READS_OPENAPI_V3 {
        "; with it `explain`, `diff` and `--dry-run=server` do not work, they need 1.27 or newer"
    } else {
        ""
    };
    format!(", {distance} minor versions {side} than the API (1.{API}), where Kubernetes supports {SUPPORTED}{lacks}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kubectl_far_older_than_the_api_is_told_with_what_it_lacks() {
        let debian = r#"{"clientVersion": {"major": "1", "minor": "20", "gitVersion": "v1.20.2", "compiler": "gc"}}"#;
        let told = told(debian).unwrap();
        assert!(told.starts_with("v1.20.2, 13 minor versions older than the API (1.33)"), "{told}");
        assert!(told.contains("`explain`, `diff` and `--dry-run=server` do not work"), "{told}");
    }

    #[test]
    fn a_kubectl_beside_the_api_needs_no_word() {
        for minor in [32, 33, 34] {
            assert_eq!(meaning(minor), "");
        }
        let built_by_others = r#"{"clientVersion": {"minor": "33+", "gitVersion": "v1.33.1-vendor"}}"#;
        assert_eq!(told(built_by_others).as_deref(), Some("v1.33.1-vendor"));
    }

    #[test]
    fn a_distance_without_loss_is_told_as_such() {
        let (older, newer) = (meaning(29), meaning(36));
        assert!(older.contains("4 minor versions older") && !older.contains("explain"), "{older}");
        assert!(newer.contains("3 minor versions newer") && !newer.contains("explain"), "{newer}");
    }

    #[test]
    fn an_answer_without_a_version_gives_nothing() {
        assert_eq!(told(""), None);
        assert_eq!(told(r#"{"clientVersion": {"minor": "", "gitVersion": ""}}"#), None);
    }
}
