//! PodTemplates: templates that stand for themselves (upstream `ValidatePodTemplate`).

use nodeplane_api::status::FieldErrors;
use serde_json::Value;

use crate::registry::{
    Strategy,
    fields::At,
    pod_template::{self, check_template, fill_template},
};

/// The strategy of PodTemplates.
pub(super) struct PodTemplateStrategy;

impl Strategy for PodTemplateStrategy {
    fn default(&self, template: &mut Value) {
        fill_template(template);
    }

    fn warnings(&self, template: &Value) -> Vec<String> {
        pod_template::warnings(&At::root(template).field("template").field("spec"))
    }

    fn counts_generations(&self) -> bool {
        true
    }

    fn validate(&self, template: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        check_template(&At::root(template).field("template"), &mut errors);
        errors
    }
}
