//! The paths of a document: which verbs each takes.
//!
//! In: a kind. Out: its path items. kubectl looks at `x-kubernetes-group-version-kind`, at the
//! `fieldValidation` parameter and at the media types of patch bodies.

use nodeplane_api::kinds::{Kind, Part, Subresource, Verb};
use serde_json::{Map, Value};

use super::{
    operations::{Operations, parameter},
    schemas::Schemas,
};

/// Adds the paths of a kind.
pub(super) fn add(paths: &mut Map<String, Value>, kind: &'static Kind, schemas: &mut Schemas) {
    let root = match kind.group {
        "" => format!("/api/{}", kind.version),
        group => format!("/apis/{group}/{}", kind.version),
    };
    let (collection, place): (String, &[&str]) = match kind.is_namespaced() {
        true => (format!("{root}/namespaces/{{namespace}}/{}", kind.plural), &["namespace"]),
        false => (format!("{root}/{}", kind.plural), &[]),
    };
    let own = schemas.kind(kind);
    let operations = Operations {
        kind,
        part: None,
        everywhere: false,
        status: schemas.status(),
        patch: schemas.patch(),
        options: schemas.delete_options(),
    };
    let mut list = || schemas.list(kind);
    let mut operation = |verb: &Verb, operations: &Operations| match verb {
        Verb::List | Verb::Watch => ("get", operations.list(&list())),
        Verb::Create => ("post", operations.create(&own)),
        Verb::DeleteCollection => ("delete", operations.delete_many()),
        Verb::Get => ("get", operations.read(&own)),
        Verb::Update => ("put", operations.replace(&own)),
        Verb::Patch => ("patch", operations.change(&own)),
        Verb::Delete => ("delete", operations.delete()),
    };
    let mut of = |verbs: &[Verb], operations: &Operations| -> Vec<_> {
        verbs.iter().filter(|verb| kind.verbs.contains(verb)).map(|verb| operation(verb, operations)).collect()
    };
    let many = of(&[Verb::List, Verb::Create, Verb::DeleteCollection], &operations);
    let one = of(&[Verb::Get, Verb::Update, Verb::Patch, Verb::Delete], &operations);
    if kind.is_namespaced() && kind.verbs.contains(&Verb::List) {
        let everywhere = Operations { everywhere: true, ..operations.clone() };
        paths.insert(format!("{root}/{}", kind.plural), item(of(&[Verb::List], &everywhere), &[]));
    }
    let object = [place, &["name"]].concat();
    for part in kind.parts {
        let schema = match part.document {
            Some(document) => schemas.document(document),
            None => own.clone(),
        };
        let operations = Operations { part: Some(part), ..operations.clone() };
        let verbs = part.verbs.iter().map(|verb| on_part(*verb, part, &schema, &operations)).collect();
        paths.insert(format!("{collection}/{{name}}/{}", part.name()), item(verbs, &object));
    }
    if !one.is_empty() {
        paths.insert(format!("{collection}/{{name}}"), item(one, &object));
    }
    paths.insert(collection, item(many, place));
}

fn on_part(verb: Verb, part: &Part, schema: &str, operations: &Operations) -> (&'static str, Value) {
    match verb {
        Verb::Get if part.subresource == Subresource::Log => ("get", operations.text()),
        Verb::Get => ("get", operations.read(schema)),
        Verb::Create => ("post", operations.create(schema)),
        Verb::Patch => ("patch", operations.change(schema)),
        _ => ("put", operations.replace(schema)),
    }
}

fn item(operations: Vec<(&'static str, Value)>, placeholders: &[&str]) -> Value {
    let mut item: Map<String, Value> =
        operations.into_iter().map(|(method, operation)| (method.to_owned(), operation)).collect();
    if !placeholders.is_empty() {
        let describe = |name: &&str| parameter(name, "path", "string", &format!("The {name} of the object."));
        item.insert("parameters".to_owned(), placeholders.iter().map(describe).collect());
    }
    Value::Object(item)
}
