//! The API as its clients see it: calls in, replies out, on a real store and the real registry.

mod bed;
mod reading;
