//! In which form a client wants to read, and in which form it writes.
//!
//! In: `Accept` and `Content-Type`. Out: a [`Form`] for answers and a [`Codec`] for bodies.
//! Never looks into objects.

use http::header;
use nodeplane_api::status::Status;

use super::{call::Call, codec::Codec};

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
        Self::among(call, |_| true)
    }

    fn among(call: &Call, is_possible: impl Fn(&Self) -> bool) -> Result<Self, Status> {
        let accept = call.headers.get_all(header::ACCEPT);
        let mut ranges: Vec<Range<'_>> =
            accept.iter().filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(',')).map(Range::parse).collect();
        if ranges.is_empty() {
            return Ok(Self::JSON);
        }
        // Stable: equal weights keep the client's order.
        ranges.sort_by(|a, b| b.weight.total_cmp(&a.weight));
        ranges.iter().filter_map(Range::form).find(is_possible).ok_or_else(Status::not_acceptable)
    }

    /// The codec of an answer that is not about objects: such documents are text.
    ///
    /// # Errors
    /// 406 when the client accepts no text.
    pub fn of_document(call: &Call) -> Result<Codec, Status> {
        Ok(Self::among(call, |form| form.codec.is_text())?.codec)
    }

    /// The form of a stream of events.
    ///
    /// # Errors
    /// 406 when the client accepts none that can be streamed.
    pub fn of_stream(call: &Call) -> Result<Self, Status> {
        Self::among(call, |form| form.codec.stream_type().is_some())
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
        // Cells of a table are of any type, which protobuf has no message for.
        let is_possible = codec != Codec::Protobuf || !matches!(shape, Shape::Table(_));
        is_possible.then_some(Form { codec, shape })
    }
}
