//! Forgets the past in etcd, as the API server of upstream does.

use std::{sync::Arc, time::Duration};

use etcd_client::Client;
use tracing::{debug, warn};

use super::{
    TIMEOUT,
    fault::Fault,
    members::{Members, Repeat},
    newest, signed,
};

/// Compacts to the revision that was the newest one period ago, for ever. Several servers may do
/// so: who comes second finds it done.
pub(super) async fn run(members: Arc<Members>, every: Duration) {
    let mut before = None;
    loop {
        match round(&members, before).await {
            Ok(newest) => before = Some(newest),
            Err(fault) => warn!(%fault, "compacting etcd failed"),
        }
        tokio::time::sleep(every).await;
    }
}

/// Compacts to `before` and gives the newest revision.
async fn round(members: &Members, before: Option<u64>) -> Result<u64, Fault> {
    if let Some(revision) = before {
        match compact(members, revision).await {
            Ok(()) => debug!(revision, "compacted etcd"),
            Err(Fault::Compacted) => {}
            Err(fault) => return Err(fault),
        }
    }
    newest(members).await
}

/// Forgets what happened before a revision.
pub(super) async fn compact(members: &Members, revision: u64) -> Result<(), Fault> {
    let compact = |client: Client| async move { client.kv_client().compact(signed(revision), None).await };
    members.call(TIMEOUT, Repeat::Any, compact).await.map(drop)
}
