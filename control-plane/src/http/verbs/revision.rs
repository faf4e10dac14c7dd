//! `resourceVersion` as a client writes it.

use nodeplane_api::status::Status;

use crate::registry::metadata::own::parse_revision;

/// Which state of the cluster a read asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Nothing said: everything that was acknowledged before the call.
    Newest,
    /// `0`: whatever is at hand.
    Any,
    /// A revision.
    At(u64),
}

impl Wanted {
    /// Reads the parameter.
    ///
    /// # Errors
    /// 400 for what is no revision.
    pub(super) fn parse(text: &str) -> Result<Self, Status> {
        match text {
            "" => Ok(Self::Newest),
            "0" => Ok(Self::Any),
            text => parse_revision(text).map(Self::At).map_err(Status::bad_request),
        }
    }
}
