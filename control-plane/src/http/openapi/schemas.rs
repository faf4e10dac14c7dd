//! The schemas of a document, collected while its paths are written.
//!
//! In: kinds and the JSON schemas of their typed structs. Out: `components.schemas` in the form
//! of Kubernetes: references as `allOf`, extensions that name kinds and merge keys.

use nodeplane_api::{
    documents,
    k8s_openapi::apimachinery::pkg::apis::meta::v1::{DeleteOptions, ListMeta, Patch, Status},
    kinds::Kind,
    schema::annotate,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

const PREFIX: &str = "#/components/schemas/";

/// Schemas under collection.
pub(super) struct Schemas {
    generator: SchemaGenerator,
    /// Which kinds a schema stands for: (schema, group, version, kind).
    kinds: Vec<(String, &'static str, &'static str, String)>,
    lists: Map<String, Value>,
}

impl Default for Schemas {
    fn default() -> Self {
        let settings = SchemaSettings::openapi3().with(|settings| {
            settings.meta_schema = None;
            settings.transforms.clear();
        });
        Self { generator: settings.into_generator(), kinds: Vec::new(), lists: Map::new() }
    }
}

impl Schemas {
    /// The name of a kind's schema.
    pub(super) fn kind(&mut self, kind: &'static Kind) -> String {
        let name = name_of(&(kind.shape.schema)(&mut self.generator));
        self.note(&name, kind.group, kind.version, kind.kind.to_owned());
        name
    }

    /// The name of the schema of a list of a kind.
    pub(super) fn list(&mut self, kind: &'static Kind) -> String {
        let item = self.kind(kind);
        let meta = name_of(&self.generator.subschema_for::<ListMeta>());
        let name = format!("{item}List");
        let schema = json!({
            "description": format!("{}List is a list of {} objects.", kind.kind, kind.kind),
            "type": "object",
            "required": ["items"],
            "properties": {
                "apiVersion": { "type": "string", "description": "Version of the schema of this list." },
                "kind": { "type": "string", "description": "Name of the schema of this list." },
                "metadata": { "allOf": [reference(&meta)], "default": {}, "description": "Metadata of the list." },
                "items": {
                    "type": "array",
                    "description": "The objects.",
                    "items": { "allOf": [reference(&item)], "default": {} },
                },
            },
        });
        self.lists.insert(name.clone(), schema);
        self.note(&name, kind.group, kind.version, format!("{}List", kind.kind));
        name
    }

    /// The name of the schema of a document that travels, by group, version and kind.
    pub(super) fn document(&mut self, (group, version, kind): (&'static str, &'static str, &str)) -> String {
        let api_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
        let shape = documents::shape_of(&api_version, kind).expect("parts take documents of the table");
        let name = name_of(&(shape.schema)(&mut self.generator));
        self.note(&name, group, version, kind.to_owned());
        name
    }

    /// The name of the schema of `v1 Status`.
    pub(super) fn status(&mut self) -> String {
        self.shared::<Status>("", "v1", "Status")
    }

    /// The name of the schema of `v1 DeleteOptions`.
    pub(super) fn delete_options(&mut self) -> String {
        self.shared::<DeleteOptions>("", "v1", "DeleteOptions")
    }

    /// The name of the schema of patch bodies.
    pub(super) fn patch(&mut self) -> String {
        name_of(&self.generator.subschema_for::<Patch>())
    }

    /// All schemas.
    pub(super) fn finish(mut self) -> Map<String, Value> {
        let mut all: Map<String, Value> = self.generator.take_definitions(false).into_iter().collect();
        all.append(&mut self.lists);
        for (name, schema) in &mut all {
            annotate(name, schema);
            dress(schema);
        }
        describe_silent(&mut all);
        for (name, group, version, kind) in self.kinds {
            let Some(schema) = all.get_mut(&name) else { continue };
            let own = json!({ "group": group, "kind": kind, "version": version });
            match schema["x-kubernetes-group-version-kind"].as_array_mut() {
                Some(known) if known.contains(&own) => {}
                Some(known) => known.push(own),
                None => schema["x-kubernetes-group-version-kind"] = json!([own]),
            }
        }
        all
    }

    fn shared<T: JsonSchema>(&mut self, group: &'static str, version: &'static str, kind: &str) -> String {
        let name = name_of(&self.generator.subschema_for::<T>());
        self.note(&name, group, version, kind.to_owned());
        name
    }

    fn note(&mut self, name: &str, group: &'static str, version: &'static str, kind: String) {
        self.kinds.push((name.to_owned(), group, version, kind));
    }
}

/// A reference to a schema.
pub(super) fn reference(name: &str) -> Value {
    json!({ "$ref": format!("{PREFIX}{name}") })
}

fn name_of(schema: &Schema) -> String {
    let target = schema.get("$ref").and_then(Value::as_str).unwrap_or_default();
    target.strip_prefix(PREFIX).unwrap_or(target).to_owned()
}

/// Gives a field without a description that of its type.
fn describe_silent(all: &mut Map<String, Value>) {
    let silent = |property: &&mut Value| property.get("$ref").is_some() && property.get("description").is_none();
    let told: Map<String, Value> =
        all.iter().filter_map(|(name, schema)| Some((name.clone(), schema.get("description")?.clone()))).collect();
    for schema in all.values_mut() {
        let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
        for property in properties.into_iter().flat_map(Map::values_mut).filter(silent) {
            let target = property["$ref"].as_str().unwrap_or_default();
            if let Some(words) = target.strip_prefix(PREFIX).and_then(|name| told.get(name)) {
                property["description"] = words.clone();
                dress(property);
            }
        }
    }
}

/// Rewrites a schema from JSON Schema to what Kubernetes publishes: siblings of a `$ref` are
/// only allowed next to an `allOf`, and int-or-string is a union of types.
fn dress(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            if map.len() > 1
                && let Some(target) = map.remove("$ref")
            {
                map.insert("allOf".to_owned(), json!([{ "$ref": target }]));
            }
            if map.remove("x-kubernetes-int-or-string").is_some() {
                map.insert("oneOf".to_owned(), json!([{ "type": "string" }, { "type": "number" }]));
            }
            map.values_mut().for_each(dress);
        }
        Value::Array(items) => items.iter_mut().for_each(dress),
        _ => {}
    }
}
