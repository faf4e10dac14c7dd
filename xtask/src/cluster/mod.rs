//! A cluster of one node on this machine: `up` and `down`, and the pieces they are made of.
//!
//! In: built programs. Out: processes in sessions of their own, with their files below one state directory, so that
//! `down` can take everything away again. Never: touches an engine, store or process that it did not start.

pub(crate) mod down;
pub(crate) mod engine;
mod etcd;
pub(crate) mod images;
pub(crate) mod kubectl;
pub(crate) mod members;
mod mounts;
pub(crate) mod process;
pub(crate) mod sample;
pub(crate) mod state;
mod traces;
pub(crate) mod up;
pub(crate) mod wait;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// Where the cluster keeps its truth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Store {
    /// A file of the server itself.
    #[default]
    Embedded,
    /// A real etcd, started for the cluster on loopback.
    Etcd,
}

impl std::fmt::Display for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Embedded => "the embedded store",
            Self::Etcd => "etcd",
        })
    }
}
