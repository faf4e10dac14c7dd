//! Answers about objects, in the form that the client asked for: that of the path's kind, while what
//! comes here is as it is stored.

use std::borrow::Cow;

use http::StatusCode;
use jiff::Timestamp;
use nodeplane_api::{
    columns::Column,
    protobuf::{self, Lean, ProtobufError},
    status::Status,
};
use serde_json::{Value, json};

use super::{ask::Ask, list::Page};
use crate::{
    http::{
        codec::Codec,
        json_text,
        negotiate::Shape,
        reply::Reply,
        shares,
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
pub(super) fn list(ask: &Ask<'_>, page: &Page) -> Result<Reply, Status> {
    let codec = ask.form.codec;
    let bytes = match codec {
        Codec::Protobuf => protobuf_list(ask, page)?.into(),
        text => text.encode_json(json_list(ask, page))?,
    };
    Ok(Reply::ok(codec.media_type(), bytes))
}

fn json_list(ask: &Ask<'_>, page: &Page) -> Vec<u8> {
    let (objects, metadata) = (&page.objects, page.metadata());
    match ask.form.shape {
        Shape::Object => {
            let (api_version, kind) = (ask.kind().api_version(), ask.kind().kind);
            // One comma each, and no second copy of a long list.
            let room = objects.iter().map(|object| object.json_len() + 1).sum();
            json_text::list((&api_version, kind), &metadata, room, objects, |out, object| {
                json_text::write_shown(out, ask.kind(), object);
            })
        }
        Shape::Metadata(version) => {
            let named = (&*format!("meta.k8s.io/{version}"), "PartialObjectMetadata");
            json_text::list(named, &metadata, 0, objects, |out, object| table::write_metadata_of(out, version, object))
        }
        Shape::Table(version) => {
            let table = table::table(ask.kind().columns, version, &metadata, true);
            let rows = rows(ask, ask.kind().columns, version);
            let reads = rows.reads();
            let shares = shares::written(objects, |share| {
                json_text::items(share, |out, object| rows.write(out, &reads, object))
            });
            json_text::with_last(&table, "rows", shares, |out, share| out.extend_from_slice(&share))
        }
    }
}

fn rows<'a>(ask: &Ask<'_>, columns: &'a [Column], version: &'static str) -> Rows<'a> {
    Rows { kind: ask.kind(), columns, version, include: include(ask), now: Timestamp::now() }
}

/// Writes some of the items of a list.
type WriteShare<'a> = dyn Fn(&[Object]) -> Result<Vec<u8>, ProtobufError> + Sync + 'a;

fn protobuf_list(ask: &Ask<'_>, page: &Page) -> Result<Vec<u8>, Status> {
    let metadata = page.metadata();
    let (kind, api_version) = (ask.kind(), ask.kind().api_version());
    let list = |named: (&str, &str), share: &WriteShare<'_>| {
        let items: Result<Vec<_>, _> = shares::written(&page.objects, share).into_iter().collect();
        items.map(|items| protobuf::encode_list(named, &metadata, &items)).map_err(|_| Status::not_acceptable())
    };
    match ask.form.shape {
        Shape::Object => {
            let named = (&*api_version, kind.kind);
            list(named, &|share| match kind.is_view() {
                true => protobuf::encode_items::<Value, _>(named, share.iter().map(|object| kind.shown(object.tree()))),
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
