use super::*;

const INDEX: &str = "https://github.com/rust-lang/crates.io-index";

fn policy() -> Policy {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    Policy {
        targets: texts(&["x86_64-unknown-linux-gnu"]),
        licences: texts(&["MIT"]),
        ignores_private: true,
        registries: texts(&[INDEX]),
    }
}

fn package(license: Option<&str>) -> Package {
    Package {
        name: "dep".to_owned(),
        version: "1.0.0".to_owned(),
        license: license.map(str::to_owned),
        source: Some(format!("registry+{INDEX}")),
        publish: None,
        dependencies: Vec::new(),
    }
}

#[test]
fn a_licence_that_nobody_allowed_is_told_without_cargo_deny() {
    assert_eq!(faults(&package(Some("MIT OR GPL-3.0-only")), &policy()), [""; 0]);
    let told = faults(&package(Some("GPL-3.0-only")), &policy());
    assert_eq!(told, ["dep 1.0.0: the licence GPL-3.0-only is not allowed"]);
    assert_eq!(faults(&package(None), &policy()), ["dep 1.0.0: it names no licence"]);
    let told = faults(&package(Some("see LICENSE")), &policy());
    assert_eq!(told, ["dep 1.0.0: the licence \"see LICENSE\" is no SPDX expression"]);
}

#[test]
fn only_our_own_unpublished_crates_need_no_licence() {
    let own = Package { publish: Some(Vec::new()), source: None, ..package(None) };
    assert_eq!(faults(&own, &policy()), [""; 0]);
    assert_eq!(faults(&own, &Policy { ignores_private: false, ..policy() }).len(), 1);
}

#[test]
fn a_crate_from_elsewhere_is_told() {
    for elsewhere in ["git+https://example.com/dep#0123", "registry+https://example.com/index"] {
        let told = faults(&Package { source: Some(elsewhere.to_owned()), ..package(Some("MIT")) }, &policy());
        assert_eq!(told, [format!("dep 1.0.0: it comes from {elsewhere}")]);
    }
}

#[test]
fn any_version_is_told_but_for_neighbours() {
    let any = |path: Option<&str>| {
        vec![Dependency { name: "x".to_owned(), req: "*".to_owned(), path: path.map(str::to_owned) }]
    };
    let own = |dependencies| Package { publish: Some(Vec::new()), dependencies, ..package(Some("MIT")) };
    assert_eq!(faults(&own(any(Some("/x"))), &policy()), [""; 0]);
    assert_eq!(faults(&own(any(None)), &policy()), ["dep 1.0.0: it takes any version of x"]);
}

fn own_policy() -> String {
    std::fs::read_to_string(Workspace::find().unwrap().root().join(POLICY)).unwrap()
}

#[test]
fn the_projects_policy_is_understood() {
    let policy = Policy::parse(&own_policy()).unwrap();
    assert!(policy.ignores_private);
    assert_eq!(policy.registries, [INDEX]);
    assert!(policy.licences.contains(&"Apache-2.0 WITH LLVM-exception".to_owned()), "{policy:?}");
    assert_eq!(policy.targets.len(), 2);
}

#[test]
fn a_rule_that_lint_cannot_check_is_not_passed_over() {
    let own = own_policy();
    let told = |text: &str| format!("{:#}", Policy::parse(text).unwrap_err());
    let exception = own.replace("[bans]", "[bans]\ndeny = [\"openssl\"]");
    assert_eq!(told(&exception), "[bans] deny: only cargo-deny understands this, lint does not");
    let strict = own.replace("multiple-versions = \"allow\"", "multiple-versions = \"deny\"");
    assert_eq!(told(&strict), "[bans] multiple-versions: lint itself can hold only `allow`");
    let silent = own.replace("unknown-git = \"deny\"\n", "");
    assert_eq!(told(&silent), "[sources] unknown-git is missing; lint holds it to be deny");
    assert!(told("[licenses").contains("TOML"), "{}", told("[licenses"));
}

#[test]
fn the_tree_is_as_the_policy_wants_it() {
    check(&Workspace::find().unwrap()).unwrap();
}
