//! The served types as a graph that is quick to walk.

use std::{
    collections::{BTreeMap, HashMap},
    sync::LazyLock,
};

use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::{
    lists::{self, Patch, Topology},
    messages::{Message, Presence},
};
use crate::{documents::DOCUMENTS, kinds::KINDS};

/// Where a definition stands in the [`Model`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TypeId(usize);

/// The type of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    /// An object with known fields.
    Object(TypeId),
    /// An object with free keys.
    Map(Box<Type>),
    /// A list.
    List(Box<Type>),
    /// Any text.
    Text,
    /// Base64 text.
    Bytes,
    /// RFC 3339 text with whole seconds.
    Time,
    /// RFC 3339 text with microseconds.
    MicroTime,
    /// A number with this many bits.
    Integer(u32),
    /// Any number.
    Number,
    /// True or false.
    Bool,
    /// A number with 32 bits, or text.
    IntOrString,
    /// An amount.
    Quantity,
    /// Anything.
    Json,
}

/// A field of an object.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    /// What it holds.
    pub(crate) kind: Type,
    /// What a strategic merge patch does with it.
    pub(crate) patch: Patch,
    /// Who may own parts of it.
    pub(crate) topology: Topology,
    /// Whether JSON always has it.
    pub(crate) is_required: bool,
    /// What its absence says.
    pub(crate) presence: Presence,
}

/// An object type.
#[derive(Debug)]
pub(crate) struct Definition {
    /// Full name, such as `io.k8s.api.core.v1.Pod`.
    pub(crate) name: String,
    /// Fields by name.
    pub(crate) fields: BTreeMap<String, Field>,
    /// Whether its objects are owned as a whole.
    pub(crate) is_atomic: bool,
    /// The same in protobuf; empty for types that have no such form.
    pub(crate) message: Message,
}

/// All object types that the served kinds are made of.
pub(crate) struct Model {
    definitions: Vec<Definition>,
    by_name: HashMap<String, TypeId>,
}

static MODEL: LazyLock<Model> = LazyLock::new(Model::build);

impl Model {
    /// The model of all served kinds.
    pub(crate) fn get() -> &'static Self {
        &MODEL
    }

    /// A definition of this model.
    pub(crate) fn definition(&self, id: TypeId) -> &Definition {
        &self.definitions[id.0]
    }

    /// All definitions.
    #[cfg(test)]
    pub(crate) fn definitions(&self) -> &[Definition] {
        &self.definitions
    }

    /// The definition with this full name.
    pub(crate) fn by_name(&self, name: &str) -> Option<TypeId> {
        self.by_name.get(name).copied()
    }

    fn build() -> Self {
        let mut generator = SchemaSettings::default().into_generator();
        for shape in KINDS.iter().map(|kind| &kind.shape).chain(DOCUMENTS.iter().map(|document| &document.shape)) {
            (shape.schema)(&mut generator);
        }
        let schemas = generator.take_definitions(false);
        let objects = || schemas.iter().filter(|(_, schema)| schema.get("properties").is_some());
        let by_name: HashMap<String, TypeId> =
            objects().enumerate().map(|(index, (name, _))| (name.clone(), TypeId(index))).collect();
        let definitions = objects()
            .map(|(name, schema)| {
                let message = Message::of(short_name(name)).unwrap_or_default();
                Definition {
                    name: name.clone(),
                    fields: fields(name, schema, &message, &by_name),
                    is_atomic: lists::ATOMIC_TYPES.binary_search(&short_name(name)).is_ok(),
                    message,
                }
            })
            .collect();
        Self { definitions, by_name }
    }
}

fn fields(
    definition: &str,
    schema: &Value,
    message: &Message,
    by_name: &HashMap<String, TypeId>,
) -> BTreeMap<String, Field> {
    let short = short_name(definition);
    let properties = schema["properties"].as_object().into_iter().flatten();
    let required = |name: &str| schema["required"].as_array().is_some_and(|names| names.iter().any(|n| n == name));
    properties
        .map(|(name, property)| {
            let rule = lists::FIELDS.iter().find(|(kind, field, ..)| *kind == short && field == name);
            let (patch, topology) =
                rule.map_or((Patch::Replace, Topology::Granular), |(_, _, patch, topology)| (*patch, *topology));
            let (kind, is_required) = (type_of(property, by_name), required(name));
            (name.clone(), Field { kind, patch, topology, is_required, presence: message.presence(name) })
        })
        .collect()
}

/// `core.v1.Pod` of `io.k8s.api.core.v1.Pod`.
pub(crate) fn short_name(definition: &str) -> &str {
    const ROOTS: [&str; 3] = ["io.k8s.apimachinery.pkg.apis.", "io.k8s.api.", "io.k8s.kube-aggregator.pkg.apis."];
    ROOTS.iter().find_map(|root| definition.strip_prefix(root)).unwrap_or(definition)
}

fn type_of(schema: &Value, by_name: &HashMap<String, TypeId>) -> Type {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap_or(reference);
        return named_type(name, by_name);
    }
    match (schema["type"].as_str(), schema["format"].as_str()) {
        (Some("string"), Some("byte")) => Type::Bytes,
        (Some("string"), _) => Type::Text,
        (Some("integer"), Some("int32")) => Type::Integer(32),
        (Some("integer"), _) => Type::Integer(64),
        (Some("number"), _) => Type::Number,
        (Some("boolean"), _) => Type::Bool,
        (Some("array"), _) => Type::List(Box::new(type_of(&schema["items"], by_name))),
        (Some("object"), _) if schema["additionalProperties"].is_object() => {
            Type::Map(Box::new(type_of(&schema["additionalProperties"], by_name)))
        }
        _ => Type::Json,
    }
}

fn named_type(name: &str, by_name: &HashMap<String, TypeId>) -> Type {
    if let Some(id) = by_name.get(name) {
        return Type::Object(*id);
    }
    match name.rsplit('.').next() {
        Some("Quantity") => Type::Quantity,
        Some("IntOrString") => Type::IntOrString,
        Some("Time") => Type::Time,
        Some("MicroTime") => Type::MicroTime,
        _ => Type::Json,
    }
}
