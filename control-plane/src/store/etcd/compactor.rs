//! Forgets the past in etcd, as the API server of upstream does.

use std::time::Duration;

use etcd_client::{GetOptions, KvClient};
use tracing::{debug, warn};

use super::{NO_KEY, TIMEOUT, fault::Fault, revision_of, signed, within};

/// Compacts to the revision that was the newest one period ago, for ever. Several servers may do
/// so: who comes second finds it done.
pub(super) async fn run(mut kv: KvClient, every: Duration) {
    let mut before = None;
    loop {
        match round(&mut kv, before).await {
            Ok(newest) => before = Some(newest),
            Err(fault) => warn!(?fault, "compacting etcd failed"),
        }
        tokio::time::sleep(every).await;
    }
}

/// Compacts to `before` and gives the newest revision.
async fn round(kv: &mut KvClient, before: Option<u64>) -> Result<u64, Fault> {
    if let Some(revision) = before {
        match within(TIMEOUT, kv.compact(signed(revision), None)).await {
            Ok(_) => debug!(revision, "compacted etcd"),
            Err(Fault::Compacted) => {}
            Err(fault) => return Err(fault),
        }
    }
    let newest = within(TIMEOUT, kv.get(NO_KEY, Some(GetOptions::new().with_count_only()))).await?;
    revision_of(newest.header())
}
