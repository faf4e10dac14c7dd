//! The paths of a document: what each verb takes and gives.
//!
//! In: a kind. Out: its path items. kubectl looks at `x-kubernetes-group-version-kind`, at the
//! `fieldValidation` parameter and at the media types of patch bodies.

use nodeplane_api::kinds::{Kind, Part, Subresource, Verb};
use serde_json::{Map, Value, json};

use super::schemas::{Schemas, reference};

/// Media types of patch bodies that kubectl chooses from.
const PATCHES: [&str; 4] = [
    "application/apply-patch+yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
];

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
    // What is never listed has no list.
    let list = if kind.verbs.contains(&Verb::List) { schemas.list(kind) } else { String::new() };
    let operations =
        Operations { named: (kind.group, kind.version, kind.kind), status: schemas.status(), patch: schemas.patch() };
    let options = schemas.delete_options();

    let operation = |verb: &Verb| match verb {
        Verb::List | Verb::Watch => ("get", operations.read("list", &list, LIST)),
        Verb::Create => ("post", operations.write("post", Some(&own), &own, WRITE)),
        Verb::DeleteCollection => ("delete", operations.delete("deletecollection", &options, DELETE_MANY)),
        Verb::Get => ("get", operations.read("get", &own, &[])),
        Verb::Update => ("put", operations.write("put", Some(&own), &own, WRITE)),
        Verb::Patch => ("patch", operations.change(&own)),
        Verb::Delete => ("delete", operations.delete("delete", &options, DELETE)),
    };
    let of = |verbs: &[Verb]| verbs.iter().filter(|verb| kind.verbs.contains(verb)).map(operation).collect();
    let many: Vec<_> = of(&[Verb::List, Verb::Create, Verb::DeleteCollection]);
    let one: Vec<_> = of(&[Verb::Get, Verb::Update, Verb::Patch, Verb::Delete]);
    if kind.is_namespaced() && kind.verbs.contains(&Verb::List) {
        paths.insert(format!("{root}/{}", kind.plural), item(of(&[Verb::List]), &[]));
    }
    let object = [place, &["name"]].concat();
    for part in kind.parts {
        let operations = operations_on(kind, part, &own, &operations, schemas);
        paths.insert(format!("{collection}/{{name}}/{}", part.name()), item(operations, &object));
    }
    if !one.is_empty() {
        paths.insert(format!("{collection}/{{name}}"), item(one, &object));
    }
    paths.insert(collection, item(many, place));
}

fn operations_on(
    kind: &'static Kind,
    part: &Part,
    own: &str,
    operations: &Operations,
    schemas: &mut Schemas,
) -> Vec<(&'static str, Value)> {
    let schema = match part.document {
        Some(document) => schemas.document(document),
        None => own.to_owned(),
    };
    let operations = Operations { named: part.document_of(kind), ..operations.clone() };
    let operation = |verb: &Verb| match verb {
        Verb::Get if part.subresource == Subresource::Log => ("get", operations.text()),
        Verb::Get => ("get", operations.read("get", &schema, &[])),
        Verb::Create => ("post", operations.write("post", Some(&schema), &schema, WRITE)),
        Verb::Patch => ("patch", operations.change(&schema)),
        _ => ("put", operations.write("put", Some(&schema), &schema, WRITE)),
    };
    part.verbs.iter().map(operation).collect()
}

/// Query parameters: (name, type, description).
type Parameters = &'static [(&'static str, &'static str, &'static str)];

const LIST: Parameters = &[
    ("allowWatchBookmarks", "boolean", "Whether a watch may send bookmarks."),
    ("continue", "string", "Where the next page starts, as the last page told."),
    ("fieldSelector", "string", "Fields that the objects must have."),
    ("labelSelector", "string", "Labels that the objects must have."),
    ("limit", "integer", "How many objects a page may have."),
    ("resourceVersion", "string", "Which state of the cluster is asked for."),
    ("resourceVersionMatch", "string", "How resourceVersion is meant: NotOlderThan or Exact."),
    ("sendInitialEvents", "boolean", "Whether a watch starts with the present state."),
    ("timeoutSeconds", "integer", "When the call ends at the latest."),
    ("watch", "boolean", "Whether to follow changes."),
];

const WRITE: Parameters = &[
    ("dryRun", "string", "All: do everything but keep the result."),
    ("fieldManager", "string", "Who makes the change."),
    ("fieldValidation", "string", "What unknown and duplicate fields do: Ignore, Warn or Strict."),
];

const CHANGE: Parameters = &[
    ("dryRun", "string", "All: do everything but keep the result."),
    ("fieldManager", "string", "Who makes the change. Needed to apply."),
    ("fieldValidation", "string", "What unknown and duplicate fields do: Ignore, Warn or Strict."),
    ("force", "boolean", "Whether to take what others own when applying."),
];

const DELETE: Parameters = &[
    ("dryRun", "string", "All: do everything but keep the result."),
    ("gracePeriodSeconds", "integer", "How long the object may take to end."),
    ("propagationPolicy", "string", "What happens to dependents: Orphan, Background or Foreground."),
];

const DELETE_MANY: Parameters = &[
    ("dryRun", "string", "All: do everything but keep the result."),
    ("fieldSelector", "string", "Fields that the objects must have."),
    ("gracePeriodSeconds", "integer", "How long the objects may take to end."),
    ("labelSelector", "string", "Labels that the objects must have."),
    ("propagationPolicy", "string", "What happens to dependents: Orphan, Background or Foreground."),
];

/// Writes the operations on one kind of thing.
#[derive(Clone)]
struct Operations {
    named: (&'static str, &'static str, &'static str),
    status: String,
    patch: String,
}

impl Operations {
    fn read(&self, action: &str, schema: &str, parameters: Parameters) -> Value {
        self.operation(action, parameters, schema)
    }

    fn write(&self, action: &str, body: Option<&str>, schema: &str, parameters: Parameters) -> Value {
        let mut operation = self.operation(action, parameters, schema);
        if let Some(body) = body {
            operation["requestBody"] = json!({ "required": true, "content": { "*/*": { "schema": reference(body) } } });
        }
        operation
    }

    fn change(&self, schema: &str) -> Value {
        let mut operation = self.operation("patch", CHANGE, schema);
        // Applying may make the object.
        operation["responses"]["201"] = operation["responses"]["200"].clone();
        operation["responses"]["201"]["description"] = "Created".into();
        let content: Map<String, Value> =
            PATCHES.iter().map(|t| ((*t).to_owned(), json!({ "schema": reference(&self.patch) }))).collect();
        operation["requestBody"] = json!({ "required": true, "content": content });
        operation
    }

    fn delete(&self, action: &str, options: &str, parameters: Parameters) -> Value {
        let mut operation = self.operation(action, parameters, &self.status);
        operation["requestBody"] = json!({ "content": { "*/*": { "schema": reference(options) } } });
        operation
    }

    fn text(&self) -> Value {
        let mut operation = self.operation("connect", &[], &self.status);
        operation["responses"]["200"]["content"] = json!({ "text/plain": { "schema": { "type": "string" } } });
        operation
    }

    fn operation(&self, action: &str, parameters: Parameters, schema: &str) -> Value {
        let (group, version, kind) = self.named;
        let mut operation = json!({
            "responses": {
                "200": {
                    "description": "OK",
                    "content": { "application/json": { "schema": reference(schema) } },
                },
                "401": { "description": "Unauthorized" },
            },
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind": { "group": group, "version": version, "kind": kind },
        });
        if !parameters.is_empty() {
            operation["parameters"] = parameters.iter().map(|p| parameter(p.0, "query", p.1, p.2)).collect();
        }
        operation
    }
}

fn parameter(name: &str, place: &str, of_type: &str, description: &str) -> Value {
    let mut parameter = json!({
        "name": name,
        "in": place,
        "description": description,
        "schema": { "type": of_type, "uniqueItems": true },
    });
    if place == "path" {
        parameter["required"] = true.into();
    }
    parameter
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
