//! Sets of fields.
//!
//! In: paths of [`Element`]s. Out: a [`FieldSet`], and what sets have in common and not; as JSON,
//! the `fieldsV1` of `metadata.managedFields`. Knows nothing of types.

mod element;
mod set;
mod text;

pub(super) use self::{
    element::{Element, show},
    set::{FieldSet, Node},
};

/// The path that a JSON pointer of plain fields leads along.
pub(super) fn pointer(pointer: &str) -> Vec<Element> {
    pointer.split('/').skip(1).map(|name| Element::Field(name.to_owned())).collect()
}

/// A path as messages show it: `.spec.containers[name="c"].image`.
pub(super) fn path_text(path: &[&Element]) -> String {
    path.iter().map(ToString::to_string).collect()
}
