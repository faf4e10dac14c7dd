//! OpenAPI v3: what the kinds look like and what their paths take.
//!
//! In: the table of kinds. Out: one document per group and version, made when it is first asked
//! for and kept as bytes, behind an index of addresses that carry the document's fingerprint.
//! kubectl reads them to explain, to validate and to know how lists merge.

pub mod legacy;
mod paths;
mod schemas;
#[cfg(test)]
mod tests;

use std::sync::OnceLock;

use bytes::Bytes;
use http::{StatusCode, header};
use nodeplane_api::{kinds::KINDS, status::Status};
use serde_json::{Map, Value, json};

use super::{call::Call, codec::Codec, fingerprint::fingerprint, negotiate::Form, platform, reply::Reply};

/// How long a client may keep a document whose address carries its fingerprint, in seconds.
const YEAR: u32 = 31_536_000;

/// All documents.
pub struct Documents {
    slots: Vec<Slot>,
}

struct Slot {
    group: &'static str,
    version: &'static str,
    document: OnceLock<Document>,
}

struct Document {
    bytes: Bytes,
    fingerprint: String,
}

impl Slot {
    fn document(&self) -> &Document {
        self.document.get_or_init(|| {
            let bytes = Bytes::from(describe(self.group, self.version).to_string());
            let fingerprint = fingerprint(&bytes);
            Document { bytes, fingerprint }
        })
    }

    /// Key in the index and end of the address: `api/v1`, `apis/apps/v1`.
    fn name(&self) -> String {
        match self.group {
            "" => format!("api/{}", self.version),
            group => format!("apis/{group}/{}", self.version),
        }
    }

    fn address(&self) -> String {
        format!("/openapi/v3/{}?hash={}", self.name(), self.document().fingerprint)
    }
}

impl Default for Documents {
    fn default() -> Self {
        let mut slots: Vec<Slot> = Vec::new();
        for kind in KINDS {
            if !slots.iter().any(|slot| (slot.group, slot.version) == (kind.group, kind.version)) {
                slots.push(Slot { group: kind.group, version: kind.version, document: OnceLock::new() });
            }
        }
        Self { slots }
    }
}

impl Documents {
    /// `/openapi/v3`.
    ///
    /// # Errors
    /// 406.
    pub fn index(&self, call: &Call) -> Result<Reply, Status> {
        json_only(call)?;
        let paths: Map<String, Value> =
            self.slots.iter().map(|s| (s.name(), json!({ "serverRelativeURL": s.address() }))).collect();
        let body = json!({ "paths": paths }).to_string();
        let tag = format!("\"{}\"", fingerprint(body.as_bytes()));
        if call.header(&header::IF_NONE_MATCH) == tag {
            return Ok(Reply::new(StatusCode::NOT_MODIFIED, "application/json", "").with_header(header::ETAG, &tag));
        }
        Ok(Reply::ok("application/json", body).with_header(header::ETAG, &tag).with_header(header::VARY, "Accept"))
    }

    /// `/openapi/v3/apis/GROUP/VERSION`: for a year when the address has the right fingerprint,
    /// elsewhere when it has a wrong one.
    ///
    /// # Errors
    /// 404 for a version that is not served, 406.
    pub fn group(&self, call: &Call, group: &str, version: &str) -> Result<Reply, Status> {
        json_only(call)?;
        let found = self.slots.iter().find(|slot| (slot.group, slot.version) == (group, version));
        let slot = found.ok_or_else(Status::no_such_path)?;
        let document = slot.document();
        let asked = call.query.text("hash");
        if !asked.is_empty() && asked != document.fingerprint {
            let moved = Reply::new(StatusCode::MOVED_PERMANENTLY, "text/plain; charset=utf-8", "");
            return Ok(moved.with_header(header::LOCATION, &slot.address()));
        }
        let tag = format!("\"{}\"", document.fingerprint);
        let reply = if call.header(&header::IF_NONE_MATCH) == tag {
            Reply::new(StatusCode::NOT_MODIFIED, "application/json", "")
        } else {
            Reply::ok("application/json", document.bytes.clone())
        };
        let reply = reply.with_header(header::ETAG, &tag).with_header(header::VARY, "Accept");
        if asked.is_empty() {
            return Ok(reply.with_header(header::CACHE_CONTROL, "no-cache, private"));
        }
        let expires = jiff::Timestamp::now().saturating_add(jiff::SignedDuration::from_secs(i64::from(YEAR)));
        let expires = expires.map_or_else(|_| String::new(), |at| at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string());
        Ok(reply.with_header(header::CACHE_CONTROL, "public, immutable").with_header(header::EXPIRES, &expires))
    }
}

fn json_only(call: &Call) -> Result<(), Status> {
    match Form::of_document(call)? {
        Codec::Json => Ok(()),
        Codec::Yaml | Codec::Protobuf => Err(Status::not_acceptable()),
    }
}

fn describe(group: &'static str, version: &'static str) -> Value {
    let kinds = || KINDS.iter().filter(move |kind| (kind.group, kind.version) == (group, version));
    let mut schemas = schemas::Schemas::default();
    let mut all_paths = Map::new();
    for kind in kinds() {
        paths::add(&mut all_paths, kind, &mut schemas);
    }
    json!({
        "openapi": "3.0.0",
        "info": { "title": "Kubernetes", "version": platform::version()["gitVersion"] },
        "paths": all_paths,
        "components": { "schemas": schemas.finish() },
    })
}
