//! Answers about objects, in the form that the client asked for.

use bytes::Bytes;
use http::StatusCode;
use jiff::Timestamp;
use nodeplane_api::{columns::Column, kinds::Kind};
use serde::{Serialize, ser::SerializeMap};
use serde_json::{Value, json};

use super::{ask::Ask, list::Page};
use crate::{
    http::{
        negotiate::{Codec, Form, Shape},
        reply::Reply,
        table::{self, Include},
    },
    store::object::Object,
};

/// An answer about one object of the path's kind.
pub(super) fn object(ask: &Ask<'_>, code: StatusCode, object: &Value) -> Reply {
    object_with(ask, code, object, ask.kind().columns)
}

/// An answer about one object that has these columns.
pub(super) fn object_with(ask: &Ask<'_>, code: StatusCode, object: &Value, columns: &[Column]) -> Reply {
    let codec = ask.form.codec;
    let body = match ask.form.shape {
        Shape::Object => codec.encode(object),
        Shape::Metadata(version) => codec.encode(&table::metadata_of(version, object)),
        Shape::Table(version) => {
            let mut table = table::table(columns, version, &table::metadata_of_single(object), true);
            table["rows"] = json!([table::row(columns, version, object, include(ask), Timestamp::now())]);
            codec.encode(&table)
        }
    };
    Reply::new(code, codec.media_type(), body)
}

/// An answer about many objects.
pub(super) fn list(ask: &Ask<'_>, page: &Page) -> Reply {
    let codec = ask.form.codec;
    let bytes = match ask.form.shape {
        Shape::Object => codec.encode(&List { kind: ask.kind(), page }),
        Shape::Metadata(version) => codec.encode(&json!({
            "kind": "PartialObjectMetadataList",
            "apiVersion": format!("meta.k8s.io/{version}"),
            "metadata": page.metadata(),
            "items": page.objects.iter().map(|o| table::metadata_of(version, &o.value)).collect::<Vec<_>>(),
        })),
        Shape::Table(version) => {
            let (include, now) = (include(ask), Timestamp::now());
            let mut table = table::table(ask.kind().columns, version, &page.metadata(), true);
            table["rows"] =
                page.objects.iter().map(|o| table::row(ask.kind().columns, version, &o.value, include, now)).collect();
            codec.encode(&table)
        }
    };
    Reply::ok(codec.media_type(), bytes)
}

/// A `metav1.Status` that is not about failure.
pub(super) fn success(ask: &Ask<'_>, code: StatusCode, details: &Value) -> Reply {
    let mut status =
        json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details });
    if details.is_null()
        && let Some(fields) = status.as_object_mut()
    {
        fields.remove("details");
        fields.insert("code".to_owned(), code.as_u16().into());
    }
    Reply::new(code, ask.form.codec.media_type(), ask.form.codec.encode(&status))
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
    pub(super) fn object(&mut self, event: &str, object: &Value) -> Bytes {
        match self.form.shape {
            Shape::Object => line(event, object),
            Shape::Metadata(version) => line(event, &table::metadata_of(version, object)),
            Shape::Table(version) => {
                let mut table = self.table(version, object);
                table["rows"] = json!([table::row(self.kind.columns, version, object, self.include, Timestamp::now())]);
                line(event, &table)
            }
        }
    }

    /// A bookmark: an object of the kind with nothing but a revision.
    pub(super) fn bookmark(&mut self, revision: u64, ends_initial: bool) -> Bytes {
        let mut metadata = json!({ "resourceVersion": revision.to_string(), "creationTimestamp": null });
        if ends_initial {
            metadata["annotations"] = json!({ "k8s.io/initial-events-end": "true" });
        }
        let object = json!({ "kind": self.kind.kind, "apiVersion": self.kind.api_version(), "metadata": metadata });
        match self.form.shape {
            Shape::Object => line("BOOKMARK", &object),
            Shape::Metadata(version) => line("BOOKMARK", &table::metadata_of(version, &object)),
            Shape::Table(version) => line("BOOKMARK", &self.table(version, &object)),
        }
    }

    fn table(&mut self, version: &str, object: &Value) -> Value {
        let with_headings = !std::mem::replace(&mut self.has_headings, true);
        table::table(self.kind.columns, version, &table::metadata_of_single(object), with_headings)
    }
}

/// One event of a watch: a line of JSON.
pub(super) fn line(event: &str, object: &Value) -> Bytes {
    #[derive(Serialize)]
    struct Event<'a> {
        #[serde(rename = "type")]
        event: &'a str,
        object: &'a Value,
    }
    let mut bytes = Vec::from(Codec::Json.encode(&Event { event, object }));
    bytes.push(b'\n');
    bytes.into()
}

/// A list that is written without copying its objects.
struct List<'a> {
    kind: &'a Kind,
    page: &'a Page,
}

impl Serialize for List<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(4))?;
        map.serialize_entry("kind", &format!("{}List", self.kind.kind))?;
        map.serialize_entry("apiVersion", &self.kind.api_version())?;
        map.serialize_entry("metadata", &self.page.metadata())?;
        map.serialize_entry("items", &Items(&self.page.objects))?;
        map.end()
    }
}

struct Items<'a>(&'a [Object]);

impl Serialize for Items<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|object| &*object.value))
    }
}
