//! Whether somebody may do something: `SubjectAccessReview` and its relatives.
//!
//! In: who, and what. Out: what the authority really decides, with its reason.

use async_trait::async_trait;
use nodeplane_api::{
    kinds::{KINDS, Verb},
    meta,
    status::{FieldErrors, Status},
};
use serde_json::{Value, json};

use super::review::Review;
use crate::{
    access::{Asked, Attributes, Caller, Limits, Request},
    http::verbs::ask::Ask,
};

/// Whom a review is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// Whoever the review names.
    Anybody,
    /// Whoever the review names, in its own namespace.
    AnybodyHere,
    /// Whoever asks.
    Oneself,
}

impl Subject {
    /// Whom reviews of a kind are about.
    pub(super) fn of(kind: &str) -> Option<Self> {
        match kind {
            "SubjectAccessReview" => Some(Self::Anybody),
            "LocalSubjectAccessReview" => Some(Self::AnybodyHere),
            "SelfSubjectAccessReview" => Some(Self::Oneself),
            _ => None,
        }
    }
}

/// A question about access.
pub(super) struct AccessReview(pub(super) Subject);

#[async_trait]
impl Review for AccessReview {
    /// As upstream's `authorization/validation`.
    fn errors(&self, review: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        let spec = &review["spec"];
        let (resource, path) = (&spec["resourceAttributes"], &spec["nonResourceAttributes"]);
        match (resource.is_null(), path.is_null()) {
            (false, false) => errors.invalid_shown(
                "spec.nonResourceAttributes",
                path.to_string(),
                "cannot be specified in combination with resourceAttributes",
            ),
            (true, true) => errors.invalid(
                "spec.resourceAttributes",
                Value::Null,
                "exactly one of nonResourceAttributes or resourceAttributes must be specified",
            ),
            _ => {}
        }
        let has_groups = spec["groups"].as_array().is_some_and(|groups| !groups.is_empty());
        if self.0 != Subject::Oneself && text(spec, "user").is_empty() && !has_groups {
            errors.invalid("spec.user", "", "at least one of user or group must be specified");
        }
        selector_errors(resource, "fieldSelector", &mut errors);
        selector_errors(resource, "labelSelector", &mut errors);
        self.place_errors(review, &mut errors);
        errors
    }

    async fn answer(&self, ask: &Ask<'_>, review: &Value) -> Result<Value, Status> {
        let spec = &review["spec"];
        let caller = match self.0 {
            Subject::Oneself => ask.permit.caller().clone(),
            Subject::Anybody | Subject::AnybodyHere => named(spec),
        };
        let question = Question::read(spec);
        Ok(match ask.api.authority.decide(&caller, question.asked()).await {
            Ok(()) => json!({ "allowed": true }),
            Err(why) if why.is_empty() => json!({ "allowed": false }),
            Err(why) => json!({ "allowed": false, "reason": why }),
        })
    }
}

impl AccessReview {
    /// What is wrong with the metadata, and with the namespace that is asked about.
    fn place_errors(&self, review: &Value, errors: &mut FieldErrors) {
        let metadata = review["metadata"].as_object().cloned().unwrap_or_default();
        let is_local = self.0 == Subject::AnybodyHere;
        let said = metadata.iter().any(|(field, value)| {
            let is_said = !(value.is_null() || *value == "" || *value == json!({}) || *value == json!([]));
            is_said && field != "managedFields" && !(is_local && field == "namespace")
        });
        if said {
            let words = if is_local { "must be empty except for namespace" } else { "must be empty" };
            errors.invalid_shown("metadata", review["metadata"].to_string(), words);
        }
        if !is_local {
            return;
        }
        let (spec, namespace) = (&review["spec"], meta::namespace(review));
        let asked = text(&spec["resourceAttributes"], "namespace");
        if !spec["resourceAttributes"].is_null() && asked != namespace {
            errors.invalid("spec.resourceAttributes.namespace", asked, "must match metadata.namespace");
        }
        if !spec["nonResourceAttributes"].is_null() {
            let shown = spec["nonResourceAttributes"].to_string();
            errors.invalid_shown("spec.nonResourceAttributes", shown, "disallowed on this kind of request");
        }
    }
}

/// A selector is either raw or parsed.
fn selector_errors(resource: &Value, field: &str, errors: &mut FieldErrors) {
    let selector = &resource[field];
    if selector.is_null() {
        return;
    }
    let path = format!("spec.resourceAttributes.{field}");
    let raw = text(selector, "rawSelector");
    let has_requirements = selector["requirements"].as_array().is_some_and(|all| !all.is_empty());
    match (raw.is_empty(), has_requirements) {
        (false, true) => {
            let words = "may not specified at the same time as requirements";
            errors.invalid(format!("{path}.rawSelector"), raw, words);
        }
        (true, false) => {
            let words = format!("when {path} is specified, requirements or rawSelector is required");
            errors.required(format!("{path}.requirements"), words);
        }
        _ => {}
    }
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Whom a spec names.
fn named(spec: &Value) -> Caller {
    let caller = Caller::named(text(spec, "user"), texts(&spec["groups"])).with_uid(text(spec, "uid"));
    let extra = spec["extra"].as_object().into_iter().flatten();
    extra.fold(caller, |caller, (key, values)| caller.with_extra(key, texts(values)))
}

/// What a spec asks for.
enum Question {
    Objects(Request),
    Unserved(Attributes),
    Path { path: String, verb: String },
}

impl Question {
    fn read(spec: &Value) -> Self {
        let resource = &spec["resourceAttributes"];
        if resource.is_null() {
            let path = &spec["nonResourceAttributes"];
            return Self::Path { path: text(path, "path").to_owned(), verb: text(path, "verb").to_owned() };
        }
        let own = |field| text(resource, field).to_owned();
        let attributes = Attributes {
            verb: own("verb"),
            group: own("group"),
            resource: own("resource"),
            subresource: own("subresource"),
            namespace: own("namespace"),
            name: own("name"),
        };
        match served(&attributes, &resource["fieldSelector"]) {
            Some(request) => Self::Objects(request),
            None => Self::Unserved(attributes),
        }
    }

    fn asked(&self) -> Asked<'_> {
        match self {
            Self::Objects(request) => Asked::Objects(request),
            Self::Unserved(attributes) => Asked::Unserved(attributes),
            Self::Path { path, verb } => Asked::Path { path, verb },
        }
    }
}

/// The call that would do it, if the API has one.
fn served(attributes: &Attributes, fields: &Value) -> Option<Request> {
    let Attributes { verb, group, resource, subresource, namespace, name } = attributes;
    let kind = KINDS.iter().find(|kind| kind.group == group && kind.plural == resource)?;
    let subresource = match subresource.as_str() {
        "" => None,
        segment => Some(kind.parts.iter().find(|part| part.name() == segment)?.subresource),
    };
    let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    Some(Request {
        verb: Verb::by_name(verb)?,
        kind,
        namespace: some(namespace).filter(|_| kind.is_namespaced()),
        name: some(name),
        subresource,
        limits: Limits { name: demanded(fields, "metadata.name"), node: demanded(fields, "spec.nodeName") },
    })
}

/// The one value that a field selector lets a field have.
fn demanded(fields: &Value, field: &str) -> Option<String> {
    let requirements = fields["requirements"].as_array()?;
    let values =
        requirements.iter().find(|r| r["key"] == field && r["operator"] == "In").map(|r| texts(&r["values"]))?;
    <[String; 1]>::try_from(values).ok().map(|[value]| value)
}
