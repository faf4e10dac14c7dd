//! Documents as bytes: JSON, YAML and protobuf.
//!
//! In: values. Out: bytes with their media type, and values back. What differs from form to form
//! stands here and nowhere else; a further one is one more variant of [`Codec`].

use bytes::Bytes;
use http::header;
use nodeplane_api::{
    protobuf::{self, ProtobufError},
    status::Status,
};
use serde_json::Value;

use super::{body, call::Call, json_text};

/// How documents are written as bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// JSON, newline-framed in watches.
    Json,
    /// YAML. Watches are not written in it.
    Yaml,
    /// The protobuf of Kubernetes, length-prefixed in watches. Only what has a message.
    Protobuf,
}

/// Media types of all codecs, as error messages list them.
const MEDIA_TYPES: &[&str] = &["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"];

impl Codec {
    /// The media type of documents.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Json => MEDIA_TYPES[0],
            Self::Yaml => MEDIA_TYPES[1],
            Self::Protobuf => MEDIA_TYPES[2],
        }
    }

    /// The media type of a stream of events; none for what cannot be streamed.
    pub fn stream_type(self) -> Option<&'static str> {
        match self {
            Self::Json => Some("application/json"),
            Self::Yaml => None,
            Self::Protobuf => Some("application/vnd.kubernetes.protobuf;stream=watch"),
        }
    }

    /// Whether any document can be written in it.
    pub fn is_text(self) -> bool {
        self != Self::Protobuf
    }

    /// The codec with this media type.
    pub fn by_media_type(media_type: &str) -> Option<Self> {
        [Self::Json, Self::Yaml, Self::Protobuf].into_iter().find(|codec| codec.media_type() == media_type)
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
            name => Self::by_media_type(name).ok_or_else(|| Status::unsupported_media_type(MEDIA_TYPES)),
        }
    }

    /// Writes a document.
    ///
    /// # Errors
    /// 406 for a document that the codec has no form for.
    pub fn encode(self, document: &Value) -> Result<Bytes, Status> {
        match self {
            Self::Json => Ok(document.to_string().into()),
            Self::Yaml => Ok(yaml(document)),
            Self::Protobuf => protobuf::encode(document).map(Bytes::from).map_err(|_| Status::not_acceptable()),
        }
    }

    /// Writes a document that is JSON already.
    ///
    /// # Errors
    /// 406 as [`Codec::encode`].
    pub fn encode_json(self, document: Vec<u8>) -> Result<Bytes, Status> {
        match self {
            Self::Json => Ok(document.into()),
            other => other.encode(&serde_json::from_slice(&document).map_err(Status::internal)?),
        }
    }

    /// Writes one event of a stream.
    ///
    /// # Errors
    /// 406 for an object that the codec has no form for.
    pub fn encode_event(self, event: &str, object: &Value) -> Result<Bytes, Status> {
        match self {
            Self::Json => {
                Ok(json_text::event(event, 0, |out| out.extend_from_slice(object.to_string().as_bytes())).into())
            }
            Self::Protobuf => Ok(protobuf::encode_event(event, &self.encode(object)?).into()),
            Self::Yaml => Err(Status::not_acceptable()),
        }
    }

    /// Reads a document, and the duplicate fields in it. `wanted` is the `apiVersion` and `kind`
    /// of a document that does not name its own.
    ///
    /// # Errors
    /// What is wrong with the syntax.
    pub fn decode(self, bytes: &[u8], wanted: (&str, &str)) -> Result<body::Document, String> {
        match self {
            Self::Json => body::from_json(bytes),
            Self::Yaml => body::from_yaml(bytes),
            Self::Protobuf => protobuf::decode(bytes, wanted)
                .map(|value| body::Document { value, duplicates: Vec::new() })
                .map_err(|error: ProtobufError| error.to_string()),
        }
    }
}

/// What is written are values, and values can always be written.
fn yaml(document: &Value) -> Bytes {
    serde_yaml::to_string(document).unwrap_or_default().into()
}
