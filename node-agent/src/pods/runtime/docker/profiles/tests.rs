//! Profiles in files.

use super::{has_app_armor, load};
use crate::pods::runtime::{AppArmor, Seccomp, Security};

#[test]
fn a_seccomp_profile_that_is_not_there_or_is_none_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let of = |name: &str| {
        let seccomp = Seccomp::Localhost(dir.path().join(name));
        load(&Security { seccomp, ..Security::default() }).map_err(|error| error.to_string())
    };
    let profile = r#"{"defaultAction":"SCMP_ACT_ALLOW"}"#;
    std::fs::write(dir.path().join("good.json"), profile).expect("a file");
    std::fs::write(dir.path().join("bad.json"), "{").expect("a file");
    assert_eq!(of("good.json"), Ok(Some(profile.to_owned())));
    for name in ["bad.json", "none.json"] {
        let refused = of(name).expect_err("a refusal");
        assert!(refused.starts_with("cannot load seccomp profile ") && refused.contains(name), "{refused}");
    }
    assert_eq!(load(&Security::default()).ok(), Some(None));
}

#[test]
fn app_armor_is_required_only_when_it_was_asked_for() {
    for (app_armor, is_required) in [
        (AppArmor::Unasked, false),
        (AppArmor::Unconfined, false),
        (AppArmor::Default, true),
        (AppArmor::Localhost("mine".to_owned()), true),
    ] {
        let loaded = load(&Security { app_armor: app_armor.clone(), ..Security::default() });
        assert_eq!(loaded.is_ok(), !is_required || has_app_armor(), "{app_armor:?}");
    }
}
