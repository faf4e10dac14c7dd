//! Words between the write engine and the kinds that reserve something in the cluster.

use nodeplane_api::status::{FieldErrors, Status};
use uuid::Uuid;

/// One attempt to write an object. What it reserves carries its id, so that it gives back its own
/// and nothing that another attempt relies on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    id: String,
    dry_run: bool,
}

impl Attempt {
    /// A new attempt. A dry one keeps nothing.
    pub fn new(dry_run: bool) -> Self {
        Self { id: Uuid::new_v4().simple().to_string(), dry_run }
    }

    /// What tells it from others.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether it keeps nothing.
    pub fn is_dry(&self) -> bool {
        self.dry_run
    }
}

/// Why something could not be reserved.
#[derive(Debug)]
pub enum NotAllocated {
    /// The object asks for what it cannot have.
    Invalid(FieldErrors),
    /// It could not be found out, or there is no more.
    Failed(Status),
}
