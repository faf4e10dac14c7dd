//! What etcd's errors mean.
//!
//! etcd tells its conditions apart by message (`api/v3rpc/rpctypes/error.go`); the gRPC code
//! alone is ambiguous.

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
    /// Anything else: no connection, no leader, no space, no permission.
    Unavailable(anyhow::Error),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match &error {
            Error::GRpcStatus(status) => Self::of_message(status.message()),
            _ => None,
        }
        .unwrap_or_else(|| Self::Unavailable(error.into()))
    }
}

impl Fault {
    fn of_message(message: &str) -> Option<Self> {
        let says = |what: &str| message.contains(what);
        if says("required revision has been compacted") {
            Some(Self::Compacted)
        } else if says("required revision is a future revision") {
            Some(Self::Future)
        // The second one is gRPC's own limit, for requests that are far too large.
        } else if says("request is too large") || says("received message larger than max") {
            Some(Self::TooLarge)
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
        assert!(meaning("etcdserver: mvcc: database space exceeded").is_none());
        assert!(meaning("etcdserver: no leader").is_none());
    }
}
