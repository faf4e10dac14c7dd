//! A document that is made when it is first asked for, and then kept as few bytes.
//!
//! In: how to make it. Out: replies with its tag, compressed for those who read gzip. Nothing of it
//! is in memory before the first call, and only its compressed bytes are afterwards.

use std::{
    io::{self, Read, Write},
    sync::OnceLock,
};

use bytes::Bytes;
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use http::{HeaderValue, StatusCode, header};
use nodeplane_api::status::Status;

use crate::http::{call::Call, fingerprint::fingerprint, reply::Reply};

/// A document, made at most once.
#[derive(Default)]
pub(super) struct Kept(OnceLock<Document>);

impl Kept {
    /// The document, which is made when it is not there.
    pub(super) fn get(&self, make: impl FnOnce() -> Vec<u8>) -> &Document {
        self.0.get_or_init(|| Document::new(&make()))
    }
}

/// The bytes of a document.
pub(super) struct Document {
    gzip: Bytes,
    /// Tells it from documents that say something else.
    pub(super) fingerprint: String,
}

impl Document {
    fn new(plain: &[u8]) -> Self {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        // Writing to memory does not fail.
        let gzip = encoder.write_all(plain).and_then(|()| encoder.finish()).unwrap_or_default();
        Self { gzip: gzip.into(), fingerprint: fingerprint(plain) }
    }

    /// The answer to a call for it: nothing, when the client has it already.
    ///
    /// # Errors
    /// 500 when it cannot be unpacked.
    pub(super) fn reply(&self, call: &Call, content_type: &'static str) -> Result<Reply, Status> {
        let tag = format!("\"{}\"", self.fingerprint);
        let reply = if call.header(&header::IF_NONE_MATCH) == tag {
            Reply::new(StatusCode::NOT_MODIFIED, content_type, "")
        } else if takes_gzip(call) {
            Reply::ok(content_type, self.gzip.clone()).with_header(header::CONTENT_ENCODING, "gzip")
        } else {
            Reply::ok(content_type, self.plain().map_err(Status::internal)?)
        };
        let mut reply = reply.with_header(header::ETAG, &tag).with_header(header::VARY, "Accept");
        reply.headers.append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
        Ok(reply)
    }

    fn plain(&self) -> io::Result<Vec<u8>> {
        let mut plain = Vec::new();
        GzDecoder::new(&*self.gzip).read_to_end(&mut plain)?;
        Ok(plain)
    }

    /// Bytes that it takes in memory.
    #[cfg(test)]
    pub(super) fn weight(&self) -> usize {
        self.gzip.len()
    }
}

fn takes_gzip(call: &Call) -> bool {
    call.header(&header::ACCEPT_ENCODING).split(',').any(|token| token.trim() == "gzip")
}
