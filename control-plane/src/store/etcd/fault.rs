//! What etcd's errors mean.
//!
//! etcd tells its conditions apart by message (`api/v3rpc/rpctypes/error.go`); the gRPC code
//! alone is ambiguous.

use std::{error::Error as _, fmt, time::Duration};

use etcd_client::Error;

/// An error of etcd, by what to do about it.
#[derive(Debug)]
pub(super) enum Fault {
    /// The revision has been compacted.
    Compacted,
    /// The revision has not happened.
    Future,
    /// The request is larger than etcd takes.
    TooLarge,
    /// etcd has no room left until somebody defragments it and takes the alarm back.
    Full,
    /// The lease is not known any more.
    NoLease,
    /// The credentials are right, and what etcd gave for them is too old.
    StaleToken(anyhow::Error),
    /// There was no connection: the request has never been sent.
    Unsent(anyhow::Error),
    /// No answer in time.
    Silent(Duration),
    /// Anything else that another member may be free of: the connection broke, there is no leader.
    Broken(anyhow::Error),
    /// Anything else that is so everywhere: no permission, a wrong password.
    Unavailable(anyhow::Error),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let Error::GRpcStatus(status) = &error else { return Self::Broken(error.into()) };
        if let Some(fault) = Self::of_message(status.message()) {
            return fault;
        }
        if status.message().contains("revision of auth store is old")
            || status.message().contains("revision in header is old")
        {
            return Self::StaleToken(error.into());
        }
        if never_connected(status) {
            return Self::Unsent(error.into());
        }
        // What etcd itself refuses begins so; what else is unavailable is a matter of the member.
        let is_refusal = ["permission denied", "invalid auth", "authentication failed", "user name", "not enabled"];
        if is_refusal.iter().any(|words| status.message().contains(words)) {
            return Self::Unavailable(error.into());
        }
        Self::Broken(error.into())
    }
}

/// Whether the connection could not be made.
fn never_connected(status: &tonic::Status) -> bool {
    let mut source = status.source();
    while let Some(error) = source {
        if error.is::<tonic::ConnectError>() {
            return true;
        }
        source = error.source();
    }
    false
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compacted => f.write_str("the revision has been compacted"),
            Self::Future => f.write_str("the revision has not happened"),
            Self::TooLarge => f.write_str("the request is too large"),
            Self::Full => f.write_str("etcd has no room left (NOSPACE)"),
            Self::NoLease => f.write_str("the lease is gone"),
            Self::Silent(limit) => write!(f, "no answer within {limit:?}"),
            Self::StaleToken(error) | Self::Unsent(error) | Self::Broken(error) | Self::Unavailable(error) => {
                write!(f, "{error:#}")
            }
        }
    }
}

impl Fault {
    /// A failure before anything of a call was sent.
    pub(super) fn unsent(error: Error) -> Self {
        match Self::from(error) {
            Self::Broken(error) => Self::Unsent(error),
            fault => fault,
        }
    }

    /// Whether another member may do better.
    pub(super) fn is_of_member(&self) -> bool {
        matches!(self, Self::Unsent(_) | Self::Silent(_) | Self::Broken(_))
    }

    /// Whether it is certain that nothing was sent.
    pub(super) fn is_unsent(&self) -> bool {
        matches!(self, Self::Unsent(_))
    }

    /// Whether a new token helps.
    pub(super) fn is_stale_token(&self) -> bool {
        matches!(self, Self::StaleToken(_))
    }

    fn of_message(message: &str) -> Option<Self> {
        let says = |what: &str| message.contains(what);
        if says("required revision has been compacted") {
            Some(Self::Compacted)
        } else if says("required revision is a future revision") {
            Some(Self::Future)
        // The second one is gRPC's own limit, for requests that are far too large.
        } else if says("request is too large") || says("received message larger than max") {
            Some(Self::TooLarge)
        } else if says("database space exceeded") {
            Some(Self::Full)
        } else if says("requested lease not found") {
            Some(Self::NoLease)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_etcd_have_their_meaning() {
        let meaning = |message| Fault::of_message(message);
        assert!(matches!(meaning("etcdserver: mvcc: required revision has been compacted"), Some(Fault::Compacted)));
        assert!(matches!(meaning("etcdserver: mvcc: required revision is a future revision"), Some(Fault::Future)));
        assert!(matches!(meaning("etcdserver: request is too large"), Some(Fault::TooLarge)));
        assert!(matches!(
            meaning("grpc: received message larger than max (3000000 vs. 2097152)"),
            Some(Fault::TooLarge)
        ));
        assert!(matches!(meaning("etcdserver: mvcc: database space exceeded"), Some(Fault::Full)));
        assert!(matches!(meaning("etcdserver: requested lease not found"), Some(Fault::NoLease)));
        assert!(meaning("etcdserver: no leader").is_none());
    }
}
