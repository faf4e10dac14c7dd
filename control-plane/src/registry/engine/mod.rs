//! The one way into the store for objects.
//!
//! In: a [`Permit`], a [`Target`], and what is to become of it as a function of its newest state.
//! Out: the object as it is stored now. Every write goes the same way: defaults, owners of fields,
//! what belongs to the server, admission, addresses and ports, validation, the store, and back with whatever is
//! not needed after all; and again when somebody else was faster. Never knows how a call
//! travelled or how its answer looks.

mod landing;
mod marking;
mod orphans;
mod owning;
mod parts;
mod remove;
#[cfg(test)]
mod tests;
mod write;

use std::{sync::Arc, time::Duration};

use nodeplane_api::status::Status;
use serde_json::Value;

pub use self::{
    marking::Propagation,
    owning::Ownership,
    parts::Part,
    remove::{Removal, Removed},
};
use super::{Registry, admission::Chain, objects::Objects};
use crate::{access::Permit, store::StoreError};

/// How often a write is tried while others change the same object.
const TRIES: u32 = 48;
/// The longest pause before the next try; more tries make it longer.
const PAUSE: Duration = Duration::from_millis(2);
/// How many generated names are tried.
const NAMES: u32 = 8;

/// Writes objects. Cloning shares it.
#[derive(Clone)]
pub struct Engine {
    objects: Objects,
    registry: Arc<Registry>,
    admission: Arc<Chain>,
}

/// What has to be there for a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expects {
    /// Nothing: the object is new. Without a name it gets a generated one.
    Absent,
    /// The object.
    Present,
    /// Either: the object is made when it is not there.
    Any,
}

/// What is written, in the kind and the namespace of the permit.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// Name of the object; for a new one, that in its metadata counts.
    pub name: &'a str,
    /// Which part of it.
    pub part: Part,
    /// What has to be there.
    pub expects: Expects,
    /// Whose the write is.
    pub ownership: Ownership<'a>,
    /// Do everything but store the result.
    pub dry_run: bool,
}

/// An edited object.
#[derive(Clone, Debug)]
pub struct Edit {
    /// What the client asks for. A `resourceVersion` or `uid` in the metadata of an object that
    /// is there already is a precondition.
    pub object: Value,
    /// Sentences for the `Warning` header.
    pub warnings: Vec<String>,
}

impl From<Value> for Edit {
    fn from(object: Value) -> Self {
        Self { object, warnings: Vec::new() }
    }
}

/// What became of a write.
#[derive(Clone, Debug)]
pub struct Written {
    /// The object as it is stored now; as it was last, when it is gone.
    pub object: Value,
    /// Sentences for the `Warning` header.
    pub warnings: Vec<String>,
    /// Whether it was made by this write.
    pub is_new: bool,
}

impl Engine {
    /// An engine over the objects of a cluster.
    pub fn new(objects: Objects, registry: Arc<Registry>) -> Self {
        let admission = Arc::new(Chain::standard(&Arc::new(objects.clone())));
        Self { objects, registry, admission }
    }
}

/// One write, whatever its try.
#[derive(Clone, Debug)]
struct Work {
    permit: Permit,
    name: String,
    part: Part,
    dry_run: bool,
}

/// Why a try wrote nothing.
#[derive(Debug)]
enum Failure {
    Refused(Status),
    Store(StoreError),
}

impl Failure {
    /// Whether it is known that nothing was stored.
    fn is_certain(&self) -> bool {
        !matches!(self, Self::Store(StoreError::Unavailable(_)))
    }
}

/// Lets others finish before the next try.
async fn pause(tries: u32) {
    tokio::time::sleep(PAUSE.mul_f64(rand::random::<f64>() * f64::from(tries + 1))).await;
}
