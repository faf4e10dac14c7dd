//! OpenAPI v2: only that there is one.
//!
//! Everything is told in v3. A client that does not find a kind there looks here, and when it
//! does not find it here either, it skips its own checks and leaves them to the server; without
//! any answer it would give up instead. Such clients read protobuf.

use http::header;
use nodeplane_api::status::Status;
use serde_json::{Value, json};

use crate::http::{call::Call, negotiate::Form, platform, reply::Reply};

/// The media type of the document as protobuf (`openapi.v2.Document`).
const PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
/// How clients ask for it too, although no media type may have an `@`.
const ASKED_FOR_AS: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
const TITLE: &str = "Kubernetes";

/// `/openapi/v2`.
///
/// # Errors
/// 406.
pub fn document(call: &Call) -> Result<Reply, Status> {
    let accepts = call.headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    if accepts.into_iter().any(|value| value.contains(PROTOBUF) || value.contains(ASKED_FOR_AS)) {
        return Ok(Reply::ok(PROTOBUF, protobuf()));
    }
    let codec = Form::of_document(call)?;
    Ok(Reply::ok(codec.media_type(), codec.encode(&plain())?))
}

fn version() -> String {
    platform::version()["gitVersion"].as_str().unwrap_or_default().to_owned()
}

fn plain() -> Value {
    json!({
        "swagger": "2.0",
        "info": { "title": TITLE, "version": version() },
        "paths": {},
        "definitions": {},
    })
}

/// The same: `swagger` is field 1, `info` 2 (`title` 1, `version` 2), `paths` 8, `definitions` 9.
fn protobuf() -> Vec<u8> {
    let info = [field(1, TITLE.as_bytes()), field(2, version().as_bytes())].concat();
    [field(1, b"2.0"), field(2, &info), field(8, &[]), field(9, &[])].concat()
}

/// A field whose value has a length; all of ours are shorter than 128 bytes.
fn field(number: u8, value: &[u8]) -> Vec<u8> {
    const LENGTH_DELIMITED: u8 = 2;
    let mut bytes = vec![number << 3 | LENGTH_DELIMITED, u8::try_from(value.len()).unwrap_or_default() & 0x7f];
    bytes.extend_from_slice(value);
    bytes
}
