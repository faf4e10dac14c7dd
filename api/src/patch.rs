//! The patch formats of the API as pure functions on values.
