//! Which objects a client asks for: label selectors and field selectors, parsed, matched and
//! printed as Kubernetes does (apimachinery `labels` and `fields`).
//!
//! In: the text of a query parameter, or a `LabelSelector` object. Out: a predicate on objects.

mod fields;
mod labels;
mod parse;

pub use fields::FieldSelector;
pub use labels::{LabelSelector, Operator, Requirement, format_label_selector};

/// A selector that cannot be read; the message is upstream's, for a 400 answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SelectorError(pub String);

#[cfg(test)]
mod tests;
