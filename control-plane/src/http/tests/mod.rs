//! The API as its clients see it: calls in, replies out, on a real store and the real registry.

mod access;
mod applying;
pub(in crate::http) mod bed;
mod certificates;
mod changing;
mod creating;
mod deleting;
mod eviction;
mod health;
mod kinds;
mod logs;
mod made;
mod malformed;
mod network;
mod operations;
mod owning;
mod parts;
mod patching;
mod platform;
mod protobuf;
mod quotas;
mod reading;
mod tokens;
mod views;
mod watching;
mod workloads;
