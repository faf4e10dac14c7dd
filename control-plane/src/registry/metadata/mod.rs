//! `.metadata`, for every kind alike: what belongs to the server ([`own`]), and what is right and
//! wrong about it ([`validation`]). Pure; times and uids are parameters.

pub mod managers;
pub mod own;
mod validation;

pub(super) use validation::{check_annotations, check_finalizer, check_immutable, check_labels};
pub use validation::{validate_meta, validate_meta_update};
