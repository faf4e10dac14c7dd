//! Answers about objects, in the form that the client asked for: that of the path's kind, while what
//! comes here is as it is stored.

use std::borrow::Cow;

use bytes::Bytes;
use http::StatusCode;
use jiff::Timestamp;
use nodeplane_api::{
    columns::Column,
    kinds::Kind,
    protobuf::{self, Lean, ProtobufError},
    status::Status,
};
use serde_json::{Value, json};

use super::{ask::Ask, list::Page};
use crate::{
    http::{
        codec::Codec,
        crew, json_text,
        negotiate::{Form, Shape},
        reply::Reply,
        table::{self, Include, Rows},
    },
    store::object::Object,
};

/// An answer about one object of the path's kind.
pub(super) fn object(ask: &Ask<'_>, code: StatusCode, object: &Value) -> Result<Reply, Status> {
    let shown = match ask.form.shape {
        Shape::Object => ask.kind().shown(Cow::Borrowed(object)),
        _ => Cow::Borrowed(object),
    };
    object_with(ask, code, &shown, ask.kind().columns)
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
            table["rows"] = json!([rows(ask, columns, version).row(object)]);
            codec.encode(&table)?
        }
    };
    Ok(Reply::new(code, codec.media_type(), body))
}

/// An answer about one object as it is stored.
pub(super) fn stored(ask: &Ask<'_>, object: &Object) -> Result<Reply, Status> {
    if ask.form.codec == Codec::Protobuf || ask.form.shape != Shape::Object || ask.kind().is_view() {
        return self::object(ask, StatusCode::OK, object.value());
    }
    let mut text = Vec::with_capacity(object.json_len());
    object.write_json(&mut text);
    Ok(Reply::ok(ask.form.codec.media_type(), ask.form.codec.encode_json(text)?))
}

/// An answer about many objects.
pub(super) async fn list(ask: &Ask<'_>, page: Page) -> Result<Reply, Status> {
    let listing = Listing { kind: ask.kind(), form: ask.form, include: include(ask), now: Timestamp::now(), page };
    let bytes = crew::aside(listing.page.objects.len(), move || listing.write()).await.map_err(Status::internal)??;
    Ok(Reply::ok(ask.form.codec.media_type(), bytes))
}

/// All that an answer about many objects is made of.
struct Listing {
    kind: &'static Kind,
    form: Form,
    include: Include,
    now: Timestamp,
    page: Page,
}

/// Writes some of the items of a list.
type WriteShare<'a> = dyn Fn(&[Object]) -> Result<Vec<u8>, ProtobufError> + Sync + 'a;

impl Listing {
    fn write(&self) -> Result<Bytes, Status> {
        match self.form.codec {
            Codec::Protobuf => self.protobuf().map(Bytes::from),
            text => text.encode_json(self.json()),
        }
    }

    fn json(&self) -> Vec<u8> {
        let (objects, metadata) = (&self.page.objects, self.page.metadata());
        match self.form.shape {
            Shape::Object => {
                let (api_version, kind) = (self.kind.api_version(), self.kind.kind);
                // One comma each, and no second copy of a long list.
                let room = objects.iter().map(|object| object.json_len() + 1).sum();
                json_text::list((&api_version, kind), &metadata, room, objects, |out, object| {
                    json_text::write_shown(out, self.kind, object);
                })
            }
            Shape::Metadata(version) => {
                let named = (&*format!("meta.k8s.io/{version}"), "PartialObjectMetadata");
                json_text::list(named, &metadata, 0, objects, |out, object| {
                    table::write_metadata_of(out, version, object);
                })
            }
            Shape::Table(version) => {
                let columns = self.kind.columns;
                let table = table::table(columns, version, &metadata, true);
                let rows = Rows { kind: self.kind, columns, version, include: self.include, now: self.now };
                let reads = rows.reads();
                let shares = crew::written(objects, |share| {
                    json_text::items(share, |out, object| rows.write(out, &reads, object))
                });
                json_text::with_last(&table, "rows", shares, |out, share| out.extend_from_slice(&share))
            }
        }
    }

    fn protobuf(&self) -> Result<Vec<u8>, Status> {
        let metadata = self.page.metadata();
        let (kind, api_version) = (self.kind, self.kind.api_version());
        let list = |named: (&str, &str), share: &WriteShare<'_>| {
            let items: Result<Vec<_>, _> = crew::written(&self.page.objects, share).into_iter().collect();
            items.map(|items| protobuf::encode_list(named, &metadata, &items)).map_err(|_| Status::not_acceptable())
        };
        match self.form.shape {
            Shape::Object => {
                let named = (&*api_version, kind.kind);
                list(named, &|share| match kind.is_view() {
                    true => {
                        protobuf::encode_items::<Value, _>(named, share.iter().map(|object| kind.shown(object.tree())))
                    }
                    false => protobuf::encode_items::<Lean<'_>, _>(named, share.iter().map(Object::lean)),
                })
            }
            Shape::Metadata(version) => {
                let named = (&*format!("meta.k8s.io/{version}"), "PartialObjectMetadata");
                list(named, &|share| {
                    let items = share.iter().map(|object| table::metadata_of(version, &object.tree()));
                    protobuf::encode_items::<Value, _>(named, items)
                })
            }
            Shape::Table(_) => Err(Status::not_acceptable()),
        }
    }
}

fn rows<'a>(ask: &Ask<'_>, columns: &'a [Column], version: &'static str) -> Rows<'a> {
    Rows { kind: ask.kind(), columns, version, include: include(ask), now: Timestamp::now() }
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
