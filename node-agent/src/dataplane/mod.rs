//! Loads, attaches and fills the BPF programs and maps.
