//! OpenAPI v2, for clients that know no other: one document about all kinds.
//!
//! In: the document of v3 about them. Out: the same in the words of Swagger 2.0, as JSON or as the
//! protobuf of gnostic, which Go clients ask for.

mod message;
mod protobuf;
mod swagger;
#[cfg(test)]
mod tests;

use http::header;
use nodeplane_api::status::Status;
use serde_json::Value;

pub(super) use self::swagger::swagger;
use crate::http::{
    call::Call,
    codec::Codec,
    negotiate::{self, Range},
};

/// The media type of the document as protobuf (`openapi.v2.Document`).
const PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
/// How clients ask for it too, although no media type may have an `@`.
const ASKED_FOR_AS: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";

/// The form of the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As text.
    Json,
    /// As `openapi.v2.Document`.
    Protobuf,
}

impl Form {
    /// The one that a client asks for.
    ///
    /// # Errors
    /// 406.
    pub(super) fn of(call: &Call) -> Result<Self, Status> {
        let accepts = call.headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let mut ranges = accepts.flat_map(|value| value.split(',')).map(Range::parse);
        if ranges.any(|range| matches!(range.media_type, PROTOBUF | ASKED_FOR_AS)) {
            return Ok(Self::Protobuf);
        }
        match negotiate::Form::of_document(call)? {
            Codec::Json => Ok(Self::Json),
            Codec::Yaml | Codec::Protobuf => Err(Status::not_acceptable()),
        }
    }

    /// The media type of the answer.
    pub(super) fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Protobuf => PROTOBUF,
        }
    }

    /// The document as bytes.
    pub(super) fn encode(self, document: &Value) -> Vec<u8> {
        match self {
            Self::Json => document.to_string().into_bytes(),
            Self::Protobuf => protobuf::encode(document),
        }
    }
}
