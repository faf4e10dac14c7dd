//! Which objects of a kind a client asks for.
//!
//! In: the path and the selectors of a query. Out: the keys to look at and a test of what is
//! there. A selector that demands one name looks at that key alone.

use nodeplane_api::{
    selector::{FieldSelector, LabelSelector},
    status::Status,
};

use super::ask::Ask;
use crate::store::object::Object;

/// A choice of objects.
pub(super) struct Selection {
    /// Key prefix or single key, as the cache takes it.
    pub(super) scope: String,
    /// Prefix of all keys that the path stands for.
    pub(super) collection: String,
    labels: LabelSelector,
    fields: FieldSelector,
}

impl Selection {
    /// Reads `labelSelector` and `fieldSelector`.
    ///
    /// # Errors
    /// 400 for a selector that cannot be read.
    pub(super) fn read(ask: &Ask<'_>) -> Result<Self, Status> {
        let (kind, query) = (ask.kind(), &ask.call.query);
        let refused = |error: nodeplane_api::selector::SelectorError| Status::bad_request(error.0);
        let labels = LabelSelector::parse(query.text("labelSelector")).map_err(refused)?;
        let fields = FieldSelector::parse(query.text("fieldSelector"), kind).map_err(refused)?;
        let collection = ask.api.objects.collection(kind, ask.namespace());
        let namespace = match ask.namespace() {
            "" => fields.exact("metadata.namespace").unwrap_or_default(),
            namespace => namespace,
        };
        let is_one_place = !kind.is_namespaced() || !namespace.is_empty();
        let scope = match fields.exact("metadata.name") {
            Some(name) if is_one_place && is_segment(name) => ask.api.objects.key(kind, namespace, name),
            _ if is_segment(namespace) => ask.api.objects.collection(kind, namespace),
            _ => collection.clone(),
        };
        Ok(Self { scope, collection, labels, fields })
    }

    /// Whether an object is chosen. Of its fields only those are read that matter.
    pub(super) fn matches(&self, object: &Object) -> bool {
        self.labels.matches_by(|name| object.label(name)) && self.fields.matches_by(|pointer| object.field(pointer))
    }

    /// The same for an object that many look at, one after the other: fields are read from a tree
    /// that they share.
    pub(super) fn matches_shared(&self, object: &Object) -> bool {
        if !self.fields.is_everything() {
            object.value();
        }
        self.matches(object)
    }

    /// Whether all objects under the scope are chosen, as far as selectors go.
    pub(super) fn is_everything(&self) -> bool {
        self.labels.is_everything() && self.fields.is_everything()
    }
}

/// A text of a selector that can stand in a key.
fn is_segment(text: &str) -> bool {
    !text.is_empty() && !text.contains('/')
}
