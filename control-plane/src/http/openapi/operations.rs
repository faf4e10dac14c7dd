//! What one verb on one kind of thing takes and gives.
//!
//! In: names and schemas. Out: operations. Clients that are made from the document call their
//! functions by `operationId`, so these are upstream's.

use nodeplane_api::kinds::{Kind, Part};
use serde_json::{Map, Value, json};

use super::schemas::reference;

/// Media types of patch bodies that kubectl chooses from.
const PATCHES: [&str; 4] = [
    "application/apply-patch+yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
];
/// Media types of objects.
const OBJECTS: [&str; 3] = ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"];
/// Media types of streams of objects.
const STREAMS: [&str; 2] = ["application/json;stream=watch", "application/vnd.kubernetes.protobuf;stream=watch"];

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
pub(super) struct Operations {
    /// Below whose paths.
    pub(super) kind: &'static Kind,
    /// On which part of its objects.
    pub(super) part: Option<&'static Part>,
    /// Whether they are about all namespaces at once.
    pub(super) everywhere: bool,
    /// The schema of failures and of what is gone.
    pub(super) status: String,
    /// The schema of patches.
    pub(super) patch: String,
    /// The schema of options of deletions.
    pub(super) options: String,
}

impl Operations {
    /// Gives objects of a schema.
    pub(super) fn list(&self, schema: &str) -> Value {
        let types = [&OBJECTS[..], &STREAMS[..]].concat();
        let mut operation = self.operation("list", ["list or watch objects of kind {}", ""], LIST);
        operation["responses"]["200"]["content"] = content(&types, schema);
        operation
    }

    /// Gives one object.
    pub(super) fn read(&self, schema: &str) -> Value {
        self.giving(schema, "get", ["read the specified {}", "read [] of the specified {}"], &[])
    }

    /// Takes and gives an object that is new.
    pub(super) fn create(&self, schema: &str) -> Value {
        let words = ["create a {}", "create [] of a {}"];
        taking(making(self.giving(schema, "post", words, WRITE)), &["*/*"], schema, true)
    }

    /// Takes and gives an object in place of the stored one.
    pub(super) fn replace(&self, schema: &str) -> Value {
        let words = ["replace the specified {}", "replace [] of the specified {}"];
        taking(making(self.giving(schema, "put", words, WRITE)), &["*/*"], schema, true)
    }

    /// Takes a patch.
    pub(super) fn change(&self, schema: &str) -> Value {
        let words = ["partially update the specified {}", "partially update [] of the specified {}"];
        taking(making(self.giving(schema, "patch", words, CHANGE)), &PATCHES, &self.patch, true)
    }

    /// Takes options.
    pub(super) fn delete(&self) -> Value {
        let operation = self.giving(&self.status, "delete", ["delete a {}", ""], DELETE);
        taking(operation, &["*/*"], &self.options, false)
    }

    /// Takes options, for many objects.
    pub(super) fn delete_many(&self) -> Value {
        let operation = self.giving(&self.status, "deletecollection", ["delete collection of {}", ""], DELETE_MANY);
        taking(operation, &["*/*"], &self.options, false)
    }

    /// Gives text.
    pub(super) fn text(&self) -> Value {
        let mut operation = self.operation("get", ["", "read [] of the specified {}"], &[]);
        operation["responses"]["200"]["content"] = json!({ "text/plain": { "schema": { "type": "string" } } });
        operation
    }

    fn giving(&self, schema: &str, action: &str, words: [&str; 2], parameters: Parameters) -> Value {
        let mut operation = self.operation(action, words, parameters);
        operation["responses"]["200"]["content"] = content(&OBJECTS, schema);
        operation
    }

    /// `words` describe it for whole objects and for parts.
    fn operation(&self, action: &str, words: [&str; 2], parameters: Parameters) -> Value {
        let (part, kind) = (self.part.map_or("", |part| part.name()), self.kind);
        let (group, version, name) =
            self.part.map_or((kind.group, kind.version, kind.kind), |part| part.document_of(kind));
        let words = if part.is_empty() { words[0] } else { words[1] };
        let mut operation = json!({
            "description": words.replace("{}", kind.kind).replace("[]", part),
            "operationId": self.id(action, part),
            "responses": { "200": { "description": "OK" }, "401": { "description": "Unauthorized" } },
            "tags": [format!("{}_{}", lower_camel(&group_words(kind.group)), kind.version)],
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind": { "group": group, "version": version, "kind": name },
        });
        if !parameters.is_empty() {
            operation["parameters"] = parameters.iter().map(|p| parameter(p.0, "query", p.1, p.2)).collect();
        }
        operation
    }

    /// `readCoreV1NamespacedPodStatus`, `deleteAppsV1CollectionNamespacedDeployment`.
    fn id(&self, action: &str, part: &str) -> String {
        let verb = match action {
            "get" => "read",
            "post" => "create",
            "put" => "replace",
            "deletecollection" => "delete",
            same => same,
        };
        let kind = self.kind;
        let many = if action == "deletecollection" { "Collection" } else { "" };
        let place = if kind.is_namespaced() && !self.everywhere { "Namespaced" } else { "" };
        let end = if self.everywhere { "ForAllNamespaces" } else { "" };
        let (group, version, part) = (camel(&group_words(kind.group)), capital(kind.version), capital(part));
        format!("{verb}{group}{version}{many}{place}{}{part}{end}", kind.kind)
    }
}

fn content(types: &[&str], schema: &str) -> Value {
    types.iter().map(|name| ((*name).to_owned(), json!({ "schema": reference(schema) }))).collect::<Map<_, _>>().into()
}

/// An operation that may make its object.
fn making(mut operation: Value) -> Value {
    operation["responses"]["201"] = operation["responses"]["200"].clone();
    operation["responses"]["201"]["description"] = "Created".into();
    operation
}

fn taking(mut operation: Value, types: &[&str], schema: &str, required: bool) -> Value {
    operation["requestBody"] = json!({ "content": content(types, schema) });
    if required {
        operation["requestBody"]["required"] = true.into();
    }
    operation
}

/// A parameter in a path or a query.
pub(super) fn parameter(name: &str, place: &str, of_type: &str, description: &str) -> Value {
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

/// The words of a group's name: `rbac`, `authorization`.
fn group_words(group: &str) -> Vec<&str> {
    match group {
        "" => vec!["core"],
        group => group.strip_suffix(".k8s.io").unwrap_or(group).split('.').collect(),
    }
}

fn camel(words: &[&str]) -> String {
    words.iter().map(|word| capital(word)).collect()
}

fn lower_camel(words: &[&str]) -> String {
    let rest: String = words.iter().skip(1).map(|word| capital(word)).collect();
    words.first().map(|first| format!("{first}{rest}")).unwrap_or_default()
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}
