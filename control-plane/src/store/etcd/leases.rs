//! Leases: etcd deletes the keys of one when its time is over.
//!
//! In: how long a key is to live. Out: a lease that ends then or a little later. Keys that are
//! written one soon after the other share one, as with upstream's API server: a lease costs etcd
//! more than a key.

use std::time::{Duration, Instant};

use etcd_client::Client;
use tokio::sync::Mutex;

use super::{
    TIMEOUT,
    fault::Fault,
    members::{Members, Repeat},
    signed,
};

/// A key may live longer by this part of its life...
const LATER_PART: u32 = 20;
/// ...but not by more than this.
const LATER: Duration = Duration::from_secs(60);
/// Keys of one lease at most: they all go at once.
const KEYS: u32 = 1000;

/// The lease that was granted last.
#[derive(Default)]
pub(super) struct Leases(Mutex<Option<Lease>>);

struct Lease {
    id: i64,
    ends: Instant,
    keys: u32,
}

impl Leases {
    /// A lease for a key that is to live for so long.
    pub(super) async fn lease(&self, members: &Members, life: Duration) -> Result<i64, Fault> {
        let mut last = self.0.lock().await;
        let now = Instant::now();
        let later = (life / LATER_PART).min(LATER);
        if let Some(lease) = last.as_mut().filter(|lease| lease.fits(now, life, later)) {
            lease.keys += 1;
            return Ok(lease.id);
        }
        // etcd counts whole seconds, and the one that has begun.
        let seconds = (life + later).as_secs() + 1;
        let grant = |client: Client| async move { client.lease_client().grant(signed(seconds), None).await };
        let granted = members.call(TIMEOUT, Repeat::Any, grant);
        let id = granted.await?.id();
        *last = Some(Lease { id, ends: now + Duration::from_secs(seconds), keys: 1 });
        Ok(id)
    }

    /// The last lease is gone: etcd has lost it.
    pub(super) async fn forget(&self, id: i64) {
        let mut last = self.0.lock().await;
        if last.as_ref().is_some_and(|lease| lease.id == id) {
            *last = None;
        }
    }
}

impl Lease {
    fn fits(&self, now: Instant, life: Duration, later: Duration) -> bool {
        let least = now + life;
        self.keys < KEYS && self.ends >= least && self.ends <= least + later + Duration::from_secs(1)
    }
}
