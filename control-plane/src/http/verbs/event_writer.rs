//! How a watch tells events, in the form that the client asked for.
//!
//! In: events and objects as they are stored. Out: frames of the stream. What does not depend on the watcher is
//! encoded once, however many watch: the event itself keeps it.

use std::{borrow::Cow, slice};

use bytes::Bytes;
use jiff::Timestamp;
use nodeplane_api::{kinds::Kind, status::Status};
use serde_json::{Value, json};

use super::watch_events::Seen;
use crate::{
    http::{
        codec::Codec,
        json_text,
        negotiate::{Form, Shape},
        table::{self, Include, Rows},
    },
    store::object::Object,
};

/// The writer of one stream.
pub(super) struct EventWriter {
    pub(super) kind: &'static Kind,
    pub(super) form: Form,
    pub(super) include: Include,
    /// Whether the columns of a table have been told already.
    pub(super) has_headings: bool,
}

impl EventWriter {
    /// An event as this watcher sees it.
    pub(super) fn event(&mut self, seen: &Seen<'_>) -> Result<Bytes, Status> {
        match form_number(seen.name, self.form, self.kind) {
            Some(number) => seen.event.encoded(number, || self.object(seen.name, &seen.object)),
            None => self.object(seen.name, &seen.object),
        }
    }

    /// An event about an object.
    pub(super) fn object(&mut self, name: &str, object: &Object) -> Result<Bytes, Status> {
        match (self.form.codec, self.form.shape) {
            (Codec::Json, shape) => Ok(self.line(name, shape, object).into()),
            (codec, Shape::Object) => codec.encode_event(name, &self.kind.shown(Cow::Borrowed(object.value()))),
            (codec, Shape::Metadata(version)) => codec.encode_event(name, &table::metadata_of(version, object.value())),
            (_, Shape::Table(_)) => Err(Status::not_acceptable()),
        }
    }

    fn line(&mut self, name: &str, shape: Shape, object: &Object) -> Vec<u8> {
        match shape {
            Shape::Object => json_text::event(name, object.json_len(), |out| {
                json_text::write_shown(out, self.kind, object);
            }),
            Shape::Metadata(version) => {
                json_text::event(name, object.json_len(), |out| table::write_metadata_of(out, version, object))
            }
            Shape::Table(version) => {
                let (kind, columns) = (self.kind, self.kind.columns);
                let rows = Rows { kind, columns, version, include: self.include, now: Timestamp::now() };
                let reads = rows.reads();
                let table = self.table(version, &json!({ "resourceVersion": object.revision().to_string() }));
                let document = json_text::with_last(&table, "rows", slice::from_ref(object), |out, object| {
                    rows.write(out, &reads, object);
                });
                json_text::event(name, document.len(), |out| out.extend_from_slice(&document))
            }
        }
    }

    /// A bookmark: an object of the kind with nothing but a revision.
    pub(super) fn bookmark(&mut self, revision: u64, ends_initial: bool) -> Result<Bytes, Status> {
        let mut metadata = json!({ "resourceVersion": revision.to_string(), "creationTimestamp": null });
        if ends_initial {
            metadata["annotations"] = json!({ "k8s.io/initial-events-end": "true" });
        }
        let object = json!({ "kind": self.kind.kind, "apiVersion": self.kind.api_version(), "metadata": metadata });
        let document = match self.form.shape {
            Shape::Object => object,
            Shape::Metadata(version) => table::metadata_of(version, &object),
            Shape::Table(version) => {
                let mut table = self.table(version, &table::metadata_of_single(&object));
                table["rows"] = json!([]);
                table
            }
        };
        self.form.codec.encode_event("BOOKMARK", &document)
    }

    fn table(&mut self, version: &str, metadata: &Value) -> Value {
        let with_headings = !std::mem::replace(&mut self.has_headings, true);
        table::table(self.kind.columns, version, metadata, with_headings)
    }
}

/// Which of the encodings of an event this is. A table differs from watcher to watcher, and its
/// ages from moment to moment.
fn form_number(name: &str, form: Form, kind: &Kind) -> Option<u8> {
    let shape = match form.shape {
        Shape::Object => 3 * kind.view_number(),
        Shape::Metadata("v1") => 1,
        Shape::Metadata(_) => 2,
        Shape::Table(_) => return None,
    };
    let name = match name {
        "ADDED" => 0,
        "MODIFIED" => 1,
        _ => 2,
    };
    let codec = u8::from(form.codec == Codec::Protobuf);
    Some((shape * 3 + name) * 2 + codec)
}
