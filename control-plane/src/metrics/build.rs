//! Which program this is: `kubernetes_build_info`.

use nodeplane_metrics::Text;

use crate::http::platform;

/// Labels, and the fields of `/version` that they repeat.
const FIELDS: [(&str, &str); 9] = [
    ("build_date", "buildDate"),
    ("compiler", "compiler"),
    ("git_commit", "gitCommit"),
    ("git_tree_state", "gitTreeState"),
    ("git_version", "gitVersion"),
    ("go_version", "goVersion"),
    ("major", "major"),
    ("minor", "minor"),
    ("platform", "platform"),
];

/// Shows it.
pub(super) fn show(text: &mut Text) {
    let version = platform::version();
    let labels = FIELDS.map(|(label, field)| (label, version[field].as_str().unwrap_or_default()));
    let help = "A metric with a constant '1' value labeled by major, minor, git version, git commit, git tree state, \
                build date, Go version, and compiler from which Kubernetes was built, and platform on which it is \
                running.";
    text.group("kubernetes_build_info", "gauge", help).level(&labels, 1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_label_has_a_value() {
        let version = platform::version();
        assert!(
            FIELDS.iter().all(|(_, field)| version[field].as_str().is_some_and(|text| !text.is_empty())),
            "{version}"
        );
    }
}
