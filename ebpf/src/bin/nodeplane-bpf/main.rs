//! The BPF programs: one hook per file.
#![no_std]
#![no_main]
