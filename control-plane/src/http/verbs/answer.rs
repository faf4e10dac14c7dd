//! Answers about objects, in the form that the client asked for.

use bytes::Bytes;
use http::StatusCode;
use jiff::Timestamp;
use nodeplane_api::{columns::Column, kinds::Kind, status::Status};
use serde_json::{Value, json};

use super::{ask::Ask, list::Page};
use crate::{
    http::{
        negotiate::{Form, Shape},
        reply::Reply,
        table::{self, Include},
    },
    store::object::Object,
};

/// An answer about one object of the path's kind.
pub(super) fn object(ask: &Ask<'_>, code: StatusCode, object: &Value) -> Result<Reply, Status> {
    object_with(ask, code, object, ask.kind().columns)
}

/// An answer about one object that has these columns.
pub(super) fn object_with(
    ask: &Ask<'_>,
    code: StatusCode,
    object: &Value,
    columns: &[Column],
) -> Result<Reply, Status> {
    let codec = ask.form.codec;
    let body = match ask.form.shape {
        Shape::Object => codec.encode(object)?,
        Shape::Metadata(version) => codec.encode(&table::metadata_of(version, object))?,
        Shape::Table(version) => {
            let mut table = table::table(columns, version, &table::metadata_of_single(object), true);
            table["rows"] = json!([table::row(columns, version, object, include(ask), Timestamp::now())]);
            codec.encode(&table)?
        }
    };
    Ok(Reply::new(code, codec.media_type(), body))
}

/// An answer about many objects.
pub(super) fn list(ask: &Ask<'_>, page: &Page) -> Result<Reply, Status> {
    let codec = ask.form.codec;
    let bytes = match ask.form.shape {
        Shape::Object => {
            let named = (ask.kind().api_version(), ask.kind().kind);
            codec.encode_list((&named.0, named.1), &page.metadata(), page.objects.iter().map(Object::value))?
        }
        Shape::Metadata(version) => {
            let named = (format!("meta.k8s.io/{version}"), "PartialObjectMetadata");
            let items: Vec<Value> = page.objects.iter().map(|o| table::metadata_of(version, o.value())).collect();
            codec.encode_list((&named.0, named.1), &page.metadata(), items.iter())?
        }
        Shape::Table(version) => {
            let (include, now) = (include(ask), Timestamp::now());
            let mut table = table::table(ask.kind().columns, version, &page.metadata(), true);
            table["rows"] =
                page.objects.iter().map(|o| table::row(ask.kind().columns, version, o.value(), include, now)).collect();
            codec.encode(&table)?
        }
    };
    Ok(Reply::ok(codec.media_type(), bytes))
}

/// A `metav1.Status` that is not about failure.
pub(super) fn success(ask: &Ask<'_>, code: StatusCode, details: &Value) -> Result<Reply, Status> {
    let mut status =
        json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details });
    if details.is_null()
        && let Some(fields) = status.as_object_mut()
    {
        fields.remove("details");
        fields.insert("code".to_owned(), code.as_u16().into());
    }
    Ok(Reply::new(code, ask.form.codec.media_type(), ask.form.codec.encode(&status)?))
}

/// `includeObject`.
pub(super) fn include(ask: &Ask<'_>) -> Include {
    Include::parse(ask.call.query.text("includeObject"))
}

/// How a watch writes events, one after the other.
pub(super) struct EventWriter {
    pub(super) kind: &'static Kind,
    pub(super) form: Form,
    pub(super) include: Include,
    /// Whether the columns of a table have been told already.
    pub(super) has_headings: bool,
}

impl EventWriter {
    /// An event about an object.
    pub(super) fn object(&mut self, event: &str, object: &Value) -> Result<Bytes, Status> {
        let codec = self.form.codec;
        match self.form.shape {
            Shape::Object => codec.encode_event(event, object),
            Shape::Metadata(version) => codec.encode_event(event, &table::metadata_of(version, object)),
            Shape::Table(version) => {
                let mut table = self.table(version, object);
                table["rows"] = json!([table::row(self.kind.columns, version, object, self.include, Timestamp::now())]);
                codec.encode_event(event, &table)
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
            Shape::Table(version) => self.table(version, &object),
        };
        self.form.codec.encode_event("BOOKMARK", &document)
    }

    fn table(&mut self, version: &str, object: &Value) -> Value {
        let with_headings = !std::mem::replace(&mut self.has_headings, true);
        table::table(self.kind.columns, version, &table::metadata_of_single(object), with_headings)
    }
}
