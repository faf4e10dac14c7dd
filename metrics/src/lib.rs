//! Numbers about what happens, and how Prometheus reads them (text format 0.0.4).
//!
//! In: events, as they happen: a [`Counter`], a [`Gauge`] or a [`Histogram`] takes one with a few
//! atomic operations, and [`Series`] finds the one of some labels without a lock and without an
//! allocation. Out: a [`Text`] with everything that a reader asks for. Names and labels are those of
//! whoever counts; this crate knows none but those about the [`process`]. Never decides anything.

mod histogram;
mod number;
pub mod process;
mod series;
mod text;

pub use self::{
    histogram::{Bounds, Histogram},
    number::{Counter, Gauge},
    series::{Labels, Series},
    text::{Group, MEDIA_TYPE, Text},
};
