//! OpenAPI: what the kinds look like and what their paths take.
//!
//! In: the table of kinds. Out: one document of v3 per group and version, behind an index of
//! addresses that carry the document's fingerprint, and one of v2 about all. kubectl reads them to
//! explain, to validate and to know how lists merge. All are made when they are first asked for.

mod kept;
mod legacy;
mod operations;
mod paths;
mod schemas;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use http::{StatusCode, header};
use nodeplane_api::{
    kinds::{KINDS, Kind},
    status::Status,
};
use serde_json::{Map, Value, json};

use self::{
    kept::{Document, Kept},
    legacy::Form as LegacyForm,
};
use super::{call::Call, codec::Codec, fingerprint::fingerprint, negotiate::Form, platform, reply::Reply};

/// How long a client may keep a document whose address carries its fingerprint, in seconds.
const YEAR: i64 = 31_536_000;

/// All documents.
pub struct Documents {
    slots: Vec<Slot>,
    /// Of v2: as JSON, and as protobuf.
    legacy: [Kept; 2],
}

struct Slot {
    group: &'static str,
    version: &'static str,
    kept: Kept,
}

impl Slot {
    fn document(&self) -> &Document {
        self.kept.get(|| {
            let is_here = |kind: &&Kind| (kind.group, kind.version) == (self.group, self.version);
            describe(KINDS.iter().filter(is_here)).to_string().into_bytes()
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
        for Kind { group, version, .. } in KINDS {
            if !slots.iter().any(|slot| (slot.group, slot.version) == (*group, *version)) {
                slots.push(Slot { group, version, kept: Kept::default() });
            }
        }
        Self { slots, legacy: Default::default() }
    }
}

impl Documents {
    /// `/openapi/v3`. The first call makes all documents, which takes a while.
    ///
    /// # Errors
    /// 406.
    pub async fn index(self: &Arc<Self>, call: &Call) -> Result<Reply, Status> {
        json_only(call)?;
        let documents = self.clone();
        let body = tokio::task::spawn_blocking(move || documents.addresses().to_string()).await;
        let body = body.map_err(Status::internal)?;
        let tag = format!("\"{}\"", fingerprint(body.as_bytes()));
        let reply = match call.header(&header::IF_NONE_MATCH) == tag {
            true => Reply::new(StatusCode::NOT_MODIFIED, "application/json", ""),
            false => Reply::ok("application/json", body),
        };
        Ok(reply.with_header(header::ETAG, &tag).with_header(header::VARY, "Accept"))
    }

    fn addresses(&self) -> Value {
        let paths: Map<String, Value> =
            self.slots.iter().map(|s| (s.name(), json!({ "serverRelativeURL": s.address() }))).collect();
        json!({ "paths": paths })
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
        let reply = document.reply(call, "application/json")?;
        if asked.is_empty() {
            return Ok(reply.with_header(header::CACHE_CONTROL, "no-cache, private"));
        }
        let expires = jiff::Timestamp::now().saturating_add(jiff::SignedDuration::from_secs(YEAR));
        let expires = expires.map_or_else(|_| String::new(), |at| at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string());
        Ok(reply.with_header(header::CACHE_CONTROL, "public, immutable").with_header(header::EXPIRES, &expires))
    }

    /// `/openapi/v2`.
    ///
    /// # Errors
    /// 406.
    pub async fn legacy(self: &Arc<Self>, call: &Call) -> Result<Reply, Status> {
        let form = LegacyForm::of(call)?;
        let documents = self.clone();
        let make = move || {
            documents.legacy_document(form);
        };
        tokio::task::spawn_blocking(make).await.map_err(Status::internal)?;
        self.legacy_document(form).reply(call, form.media_type())
    }

    fn legacy_document(&self, form: LegacyForm) -> &Document {
        self.legacy[form as usize].get(|| form.encode(&legacy::swagger(describe(KINDS.iter()))))
    }
}

fn json_only(call: &Call) -> Result<(), Status> {
    match Form::of_document(call)? {
        Codec::Json => Ok(()),
        Codec::Yaml | Codec::Protobuf => Err(Status::not_acceptable()),
    }
}

/// The document of v3 about some kinds.
fn describe(kinds: impl Iterator<Item = &'static Kind>) -> Value {
    let mut schemas = schemas::Schemas::default();
    let mut all_paths = Map::new();
    for kind in kinds {
        paths::add(&mut all_paths, kind, &mut schemas);
    }
    json!({
        "openapi": "3.0.0",
        "info": { "title": "Kubernetes", "version": platform::version()["gitVersion"] },
        "paths": all_paths,
        "components": { "schemas": schemas.finish() },
    })
}
