//! `cargo xtask bench`: figures about the built programs. One module per question.

pub(crate) mod api;
pub(crate) mod footprint;
mod series;
