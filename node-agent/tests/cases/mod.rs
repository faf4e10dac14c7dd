//! The golden cases: what is given, and what is expected.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use k8s_openapi::api::{core::v1::Service, discovery::v1::EndpointSlice};
use nodeplane_node_agent::{model::Services, plan::Image};
use serde::Deserialize as _;

/// The node whose maps are expected.
const NODE: &str = "node-1";
const UPDATE: &str = "NODEPLANE_UPDATE_GOLDEN";

/// One folder.
pub(crate) struct Case {
    /// What the objects mean.
    pub(crate) services: Services,
    expected: PathBuf,
}

/// All of them, in the order of their names.
pub(crate) fn all() -> Vec<Case> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden");
    let mut folders: Vec<PathBuf> = fs::read_dir(&root)
        .expect("the golden cases")
        .map(|entry| entry.expect("entry").path())
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("services-")))
        .collect();
    folders.sort();
    assert!(!folders.is_empty(), "no case in {}", root.display());
    folders.iter().map(|folder| Case::read(folder)).collect()
}

impl Case {
    fn read(folder: &Path) -> Self {
        let text = fs::read_to_string(folder.join("objects.yaml")).expect("objects.yaml");
        let (mut services, mut slices) = (Vec::<Service>::new(), Vec::<EndpointSlice>::new());
        for document in serde_yaml::Deserializer::from_str(&text) {
            let object = serde_yaml::Value::deserialize(document).expect("YAML");
            match object["kind"].as_str() {
                Some("Service") => services.push(serde_yaml::from_value(object).expect("a Service")),
                Some("EndpointSlice") => slices.push(serde_yaml::from_value(object).expect("an EndpointSlice")),
                other => panic!("{}: kind {other:?}", folder.display()),
            }
        }
        Self { services: Services::build(services, slices, NODE), expected: folder.join("maps.txt") }
    }

    /// Compares, or writes when told to.
    pub(crate) fn check(&self, outcome: &str) {
        if std::env::var_os(UPDATE).is_some() {
            fs::write(&self.expected, outcome).expect("writing the expectation");
            return;
        }
        let expected = fs::read_to_string(&self.expected).unwrap_or_default();
        assert_eq!(outcome, expected, "{}; {UPDATE}=1 takes it over", self.expected.display());
    }
}

/// Maps and rejections as text.
pub(crate) fn outcome(image: &Image, services: &Services) -> String {
    let mut text = image.to_string();
    let rejected = services.rejected();
    if !rejected.is_empty() {
        text.push_str("left out:\n");
        for rejected in rejected {
            writeln!(text, "  {rejected}").expect("writing to a string");
        }
    }
    text
}
