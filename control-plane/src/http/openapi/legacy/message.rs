//! The messages of gnostic's `openapiv2.proto`, as far as our documents have them: which number a
//! field has, and how its value is written.

/// A message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Message {
    Document,
    Info,
    PathItem,
    Operation,
    BodyParameter,
    QueryParameter,
    PathParameter,
    Response,
    Schema,
}

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// A text.
    Text,
    /// A list of texts.
    Texts,
    /// One text or several, in a message of their own.
    Type,
    /// Yes or no.
    Flag,
    /// Anything, as YAML.
    Any,
    /// A message, inside messages that have nothing else and hold it under these numbers.
    Inside(&'static [u32], Message),
    /// Names and messages: the number of an entry in the map, those on the way to its value, and the
    /// message there.
    Map(u32, &'static [u32], Message),
    /// A list of parameters; where they stand says which message they are.
    Parameters,
}

use Message::{BodyParameter, Document, Info, Operation, PathItem, PathParameter, QueryParameter, Response, Schema};
use Shape::{Any, Flag, Inside, Map, Parameters, Text, Texts, Type};

type Fields = &'static [(&'static str, u32, Shape)];

const DOCUMENT: Fields = &[
    ("swagger", 1, Text),
    ("info", 2, Inside(&[], Info)),
    ("paths", 8, Map(2, &[], PathItem)),
    ("definitions", 9, Map(1, &[], Schema)),
];
const INFO: Fields = &[("title", 1, Text), ("version", 2, Text)];
const PATH_ITEM: Fields = &[
    ("get", 2, Inside(&[], Operation)),
    ("put", 3, Inside(&[], Operation)),
    ("post", 4, Inside(&[], Operation)),
    ("delete", 5, Inside(&[], Operation)),
    ("patch", 8, Inside(&[], Operation)),
    ("parameters", 9, Parameters),
];
const OPERATION: Fields = &[
    ("tags", 1, Texts),
    ("description", 3, Text),
    ("operationId", 5, Text),
    ("produces", 6, Texts),
    ("consumes", 7, Texts),
    ("parameters", 8, Parameters),
    ("responses", 9, Map(1, &[1], Response)),
    ("schemes", 10, Texts),
];
const BODY_PARAMETER: Fields =
    &[("name", 2, Text), ("in", 3, Text), ("required", 4, Flag), ("schema", 5, Inside(&[], Schema))];
const QUERY_PARAMETER: Fields =
    &[("in", 2, Text), ("description", 3, Text), ("name", 4, Text), ("type", 6, Text), ("uniqueItems", 20, Flag)];
const PATH_PARAMETER: Fields = &[
    ("required", 1, Flag),
    ("in", 2, Text),
    ("description", 3, Text),
    ("name", 4, Text),
    ("type", 5, Text),
    ("uniqueItems", 19, Flag),
];
const RESPONSE: Fields = &[("description", 1, Text), ("schema", 2, Inside(&[1], Schema))];
const SCHEMA: Fields = &[
    ("$ref", 1, Text),
    ("format", 2, Text),
    ("title", 3, Text),
    ("description", 4, Text),
    ("default", 5, Any),
    ("required", 19, Texts),
    ("additionalProperties", 21, Inside(&[1], Schema)),
    ("type", 22, Type),
    ("items", 23, Inside(&[1], Schema)),
    ("properties", 25, Map(1, &[], Schema)),
];

impl Message {
    /// Its fields, and the number of those that begin with `x-`.
    pub(super) fn fields(self) -> (Fields, u32) {
        match self {
            Document => (DOCUMENT, 16),
            Info => (INFO, 7),
            PathItem => (PATH_ITEM, 10),
            Operation => (OPERATION, 13),
            BodyParameter => (BODY_PARAMETER, 6),
            QueryParameter => (QUERY_PARAMETER, 23),
            PathParameter => (PATH_PARAMETER, 22),
            Response => (RESPONSE, 5),
            Schema => (SCHEMA, 31),
        }
    }
}

/// The message of a parameter that stands there, and the numbers on the way to it.
pub(super) fn parameter(place: &str) -> (&'static [u32], Message) {
    match place {
        "body" => (&[1, 1], BodyParameter),
        "path" => (&[1, 2, 4], PathParameter),
        _ => (&[1, 2, 3], QueryParameter),
    }
}
