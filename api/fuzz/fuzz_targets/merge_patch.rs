//! Fuzzes `entries::merge_patch`.

#![no_main]

#[path = "../entries.rs"]
#[expect(dead_code, reason = "each target calls one of the functions")]
mod entries;

libfuzzer_sys::fuzz_target!(|data: &[u8]| entries::merge_patch(data));
