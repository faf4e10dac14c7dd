//! In which form a client wants to read, and in which form it writes.
//!
//! In: `Accept` and `Content-Type`. Out: a [`Form`] for answers and a [`Codec`] for bodies, and
//! objects as bytes of either. Never looks into objects; another codec is one more variant of
//! [`Codec`] and its two functions.

use bytes::Bytes;
use http::header;
use nodeplane_api::status::Status;
use serde::Serialize;

use super::{body, call::Call};

/// How objects are written as bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// JSON, newline-framed in watches.
    Json,
    /// YAML. Watches are not written in it.
    Yaml,
}

/// Media types of all codecs, as error messages list them.
const MEDIA_TYPES: &[&str] = &["application/json", "application/yaml"];

/// The media type that Go clients write typed objects in.
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

impl Codec {
    /// The media type of documents.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Yaml => "application/yaml",
        }
    }

    fn by_media_type(media_type: &str) -> Option<Self> {
        match media_type {
            "application/json" => Some(Self::Json),
            "application/yaml" => Some(Self::Yaml),
            _ => None,
        }
    }

    /// Writes a document. What is written are values, and values can always be written.
    pub fn encode(self, document: &impl Serialize) -> Bytes {
        match self {
            Self::Json => Bytes::from(serde_json::to_vec(document).unwrap_or_default()),
            Self::Yaml => Bytes::from(serde_yaml::to_string(document).unwrap_or_default()),
        }
    }

    /// Reads a document, and the duplicate fields in it.
    ///
    /// # Errors
    /// What is wrong with the syntax.
    pub fn decode(self, bytes: &[u8]) -> Result<body::Document, String> {
        match self {
            Self::Json => body::from_json(bytes),
            Self::Yaml => body::from_yaml(bytes),
        }
    }

    /// The codec of a request's body; JSON when the client does not say.
    ///
    /// # Errors
    /// 415 for a media type without a codec.
    pub fn of_body(call: &Call) -> Result<Self, Status> {
        let content_type = call.header(&header::CONTENT_TYPE);
        let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match media_type.as_str() {
            "" => Ok(Self::Json),
            name => Self::by_media_type(name).ok_or_else(|| unsupported(name)),
        }
    }
}

/// 415 for a body in a form without a codec.
fn unsupported(media_type: &str) -> Status {
    let mut status = Status::unsupported_media_type(MEDIA_TYPES);
    if media_type == PROTOBUF {
        status.message.push_str("; this server does not read protobuf yet, use a client that writes JSON");
    }
    status
}

/// What stands for the objects of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// The objects themselves.
    Object,
    /// A `Table` of the given version of `meta.k8s.io`.
    Table(&'static str),
    /// Only apiVersion, kind and metadata, with the given version of `meta.k8s.io`.
    Metadata(&'static str),
}

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// As bytes.
    pub codec: Codec,
    /// As objects.
    pub shape: Shape,
}

impl Form {
    /// Plain JSON.
    pub const JSON: Self = Self { codec: Codec::Json, shape: Shape::Object };

    /// The first form among those the client accepts that the server can write; JSON when it
    /// does not say.
    ///
    /// # Errors
    /// 406 when there is none.
    pub fn of_answer(call: &Call) -> Result<Self, Status> {
        let accept = call.headers.get_all(header::ACCEPT);
        let mut ranges: Vec<Range<'_>> =
            accept.iter().filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(',')).map(Range::parse).collect();
        if ranges.is_empty() {
            return Ok(Self::JSON);
        }
        // Stable: equal weights keep the client's order.
        ranges.sort_by(|a, b| b.weight.total_cmp(&a.weight));
        ranges.iter().find_map(Range::form).ok_or_else(Status::not_acceptable)
    }

    /// The form of an answer that is not about objects: shapes are ignored.
    pub fn of_document(call: &Call) -> Result<Codec, Status> {
        Ok(Self::of_answer(call)?.codec)
    }
}

/// One entry of an `Accept` header (RFC 9110 section 12.5.1) with the parameters of Kubernetes.
#[derive(Clone, Debug)]
pub struct Range<'a> {
    /// Media type or wildcard.
    pub media_type: &'a str,
    /// `q`.
    pub weight: f32,
    parameters: Vec<(&'a str, &'a str)>,
}

impl<'a> Range<'a> {
    /// Reads one entry.
    pub fn parse(text: &'a str) -> Self {
        let mut parts = text.split(';').map(str::trim);
        let media_type = parts.next().unwrap_or_default();
        let parameters: Vec<_> = parts.filter_map(|p| p.split_once('=')).map(|(n, v)| (n.trim(), v.trim())).collect();
        let weight = parameters.iter().find(|(n, _)| *n == "q").and_then(|(_, v)| v.parse().ok()).unwrap_or(1.0);
        Self { media_type, weight, parameters }
    }

    /// A parameter, empty when absent.
    pub fn parameter(&self, name: &str) -> &'a str {
        self.parameters.iter().find(|(n, _)| *n == name).map_or("", |(_, value)| value)
    }

    fn form(&self) -> Option<Form> {
        let codec = match self.media_type {
            "*/*" | "application/*" => Codec::Json,
            name => Codec::by_media_type(name)?,
        };
        let version = match self.parameter("v") {
            "" | "v1" => "v1",
            "v1beta1" => "v1beta1",
            _ => return None,
        };
        let shape = match (self.parameter("as"), self.parameter("g")) {
            ("", _) => Shape::Object,
            ("Table", "meta.k8s.io") => Shape::Table(version),
            ("PartialObjectMetadata" | "PartialObjectMetadataList", "meta.k8s.io") => Shape::Metadata(version),
            _ => return None,
        };
        Some(Form { codec, shape })
    }
}
