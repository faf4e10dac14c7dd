//! Leader election by a Lease: of several processes that could do the same work, one does it.
//!
//! In: the name of a Lease, and who we are. Out: a [`Term`] when the lease is ours, and a word when
//! it is no longer. Clocks of different machines are never compared: a candidate takes over when
//! *it* has seen the same lease for as long as the lease lasts, and a holder gives up well before
//! that, counted from when it sent its last renewal. Whoever leads must stop its work when
//! [`Term::hold`] returns; this module ends nothing by itself. The times and the fields of the Lease
//! are those of client-go's `tools/leaderelection`.

use std::{fmt, time::Duration};

use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{Api, Client, api::PostParams, runtime::watcher};
use nodeplane_api::meta::Key;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};
use tracing::{debug, warn};

use crate::informer::Informer;

/// How long giving a lease back may take.
const RELEASED_WITHIN: Duration = Duration::from_secs(2);
/// How often giving it back is tried when somebody else changes the object meanwhile.
const RELEASES: usize = 3;

/// The times of an election. The lease must outlast the deadline by as long as the holder takes
/// to stop its work.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// How long a lease lasts that is not renewed.
    pub lease: Duration,
    /// How long after its last renewal the holder gives up.
    pub renew: Duration,
    /// How often the holder renews, and how often a candidate looks.
    pub retry: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { lease: seconds(15), renew: seconds(10), retry: seconds(2) }
    }
}

/// One candidate in an election.
#[derive(Clone)]
pub struct Election {
    leases: Api<Lease>,
    name: String,
    identity: String,
    timing: Timing,
}

/// Why a term has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lost {
    /// The lease was not renewed in time.
    Unrenewed(Duration),
    /// Somebody else holds it.
    Taken(String),
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unrenewed(time) => write!(f, "the lease could not be renewed for {} s", time.as_secs()),
            Self::Taken(holder) if holder.is_empty() => f.write_str("the lease was taken away"),
            Self::Taken(holder) => write!(f, "the lease was taken by {holder}"),
        }
    }
}

impl Election {
    /// A candidate for the lease `key`. No two candidates may have the same `identity`.
    pub fn new(client: Client, key: &Key, identity: impl Into<String>, timing: Timing) -> Self {
        let leases = Api::namespaced(client, &key.namespace);
        Self { leases, name: key.name.clone(), identity: identity.into(), timing }
    }

    /// Who we are.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// Waits until the lease is ours. Must be called inside a tokio runtime.
    pub async fn win(&self) -> Term {
        // Tells at once when the lease is given back; what it holds is not read.
        let config = watcher::Config::default().fields(&format!("metadata.name={}", self.name));
        let changes = Informer::start(self.leases.clone(), config);
        let mut changes = (changes.generation(), changes);
        let mut seen = None;
        loop {
            let pause = match timeout(self.timing.renew, self.attempt(&mut seen)).await {
                Ok(Ok(Attempt::Won(term))) => return *term,
                Ok(Ok(Attempt::Held(left))) => left.min(self.timing.retry),
                Ok(Err(error)) if is_stale(&error) => self.timing.retry,
                Ok(Err(error)) => {
                    warn!(lease = self.name, %error, "cannot stand for election; trying again");
                    self.timing.retry
                }
                Err(_) => {
                    warn!(lease = self.name, "cannot stand for election: no answer; trying again");
                    self.timing.retry
                }
            };
            tokio::select! {
                () = sleep(pause) => {}
                // The sender lives in the informer: this cannot fail.
                _ = changes.0.changed() => {}
            }
        }
    }

    async fn attempt(&self, seen: &mut Option<Seen>) -> kube::Result<Attempt> {
        let found = self.leases.get_opt(&self.name).await?;
        if let Some(lease) = &found
            && self.is_held_by_another(lease)
        {
            let left = Seen::look(seen, lease, Instant::now(), self.timing.lease);
            if !left.is_zero() {
                return Ok(Attempt::Held(left));
            }
        }
        let sent = Instant::now();
        let lease = self.write(found).await?;
        Ok(Attempt::Won(Box::new(Term { election: self.clone(), lease, renewed: sent })))
    }

    fn is_held_by_another(&self, lease: &Lease) -> bool {
        let holder = holder(lease);
        !holder.is_empty() && holder != self.identity
    }

    /// Makes the lease ours, or renews it; refused when it has changed since it was `found`.
    async fn write(&self, found: Option<Lease>) -> kube::Result<Lease> {
        let options = PostParams::default();
        let Some(mut lease) = found else {
            let metadata = ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() };
            let lease = Lease { metadata, spec: Some(self.claim(&LeaseSpec::default())) };
            return self.leases.create(&options, &lease).await;
        };
        lease.spec = Some(self.claim(&lease.spec.unwrap_or_default()));
        self.leases.replace(&self.name, &options, &lease).await
    }

    /// What the lease says when it is ours.
    fn claim(&self, before: &LeaseSpec) -> LeaseSpec {
        let now = MicroTime(Timestamp::now());
        let is_ours = before.holder_identity.as_deref() == Some(&self.identity);
        let is_new = before.acquire_time.is_none();
        let transitions = before.lease_transitions.unwrap_or(0);
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: Some(i32::try_from(self.timing.lease.as_secs()).unwrap_or(i32::MAX).max(1)),
            acquire_time: if is_ours { before.acquire_time.clone() } else { Some(now.clone()) },
            renew_time: Some(now),
            lease_transitions: Some(if is_ours || is_new { transitions } else { transitions.saturating_add(1) }),
            ..before.clone()
        }
    }
}

enum Attempt {
    Won(Box<Term>),
    /// Somebody else may hold it for this long.
    Held(Duration),
}

/// What a candidate has seen of another's lease, and since when, by its own clock.
struct Seen {
    spec: Option<LeaseSpec>,
    since: Instant,
}

impl Seen {
    /// How long the holder may still count on `lease`.
    fn look(seen: &mut Option<Self>, lease: &Lease, now: Instant, default: Duration) -> Duration {
        let since = match seen {
            Some(seen) if seen.spec == lease.spec => seen.since,
            _ => seen.insert(Self { spec: lease.spec.clone(), since: now }).since,
        };
        let told = lease.spec.as_ref().and_then(|spec| spec.lease_duration_seconds);
        let told = told.and_then(|seconds| u64::try_from(seconds).ok()).map(Duration::from_secs);
        told.unwrap_or(default).saturating_sub(now.saturating_duration_since(since))
    }
}

/// The time in which the lease is ours.
pub struct Term {
    election: Election,
    /// As we know it.
    lease: Lease,
    /// When the last renewal that went well was sent.
    renewed: Instant,
}

impl Term {
    /// Renews the lease until it is lost. Whatever the lease is needed for must end then, before
    /// the rest of the lease is over. May be dropped at any time.
    pub async fn hold(&mut self) -> Lost {
        let timing = self.election.timing;
        loop {
            let deadline = self.renewed + timing.renew;
            sleep_until(deadline.min(Instant::now() + timing.retry)).await;
            if Instant::now() >= deadline {
                return Lost::Unrenewed(timing.renew);
            }
            match timeout_at(deadline, self.renew()).await {
                Ok(Ok(None)) => {}
                Ok(Ok(Some(lost))) => return lost,
                Ok(Err(error)) => warn!(lease = self.election.name, %error, "cannot renew the lease; trying again"),
                Err(_) => return Lost::Unrenewed(timing.renew),
            }
        }
    }

    /// Renews once, and says if the lease belongs to somebody else.
    async fn renew(&mut self) -> kube::Result<Option<Lost>> {
        match self.write(Some(self.lease.clone())).await {
            // A renewal whose answer was lost, or a change of something else.
            Err(error) if is_stale(&error) => {}
            other => return other.map(|()| None),
        }
        let found = self.election.leases.get_opt(&self.election.name).await?;
        match found.as_ref().map(holder) {
            Some(holder) if holder != self.election.identity => Ok(Some(Lost::Taken(holder.to_owned()))),
            _ => self.write(found).await.map(|()| None),
        }
    }

    async fn write(&mut self, found: Option<Lease>) -> kube::Result<()> {
        let sent = Instant::now();
        self.lease = self.election.write(found).await?;
        self.renewed = sent;
        Ok(())
    }

    /// Gives the lease back, so that somebody else need not wait for its end. Only for when the
    /// work has ended.
    pub async fn release(self) {
        match timeout(RELEASED_WITHIN, self.give_back()).await {
            Ok(Ok(())) => debug!(lease = self.election.name, "gave the lease back"),
            Ok(Err(error)) => warn!(lease = self.election.name, %error, "the lease is not given back; it will run out"),
            Err(_) => warn!(lease = self.election.name, "the lease is not given back in time; it will run out"),
        }
    }

    async fn give_back(&self) -> kube::Result<()> {
        let Election { leases, name, identity, .. } = &self.election;
        let mut tries = 1;
        loop {
            let Some(mut lease) = leases.get_opt(name).await?.filter(|lease| holder(lease) == identity) else {
                return Ok(());
            };
            let now = MicroTime(Timestamp::now());
            lease.spec = Some(LeaseSpec {
                holder_identity: None,
                lease_duration_seconds: Some(1),
                renew_time: Some(now),
                ..lease.spec.unwrap_or_default()
            });
            match leases.replace(name, &PostParams::default(), &lease).await {
                Err(error) if is_stale(&error) && tries < RELEASES => tries += 1,
                other => return other.map(drop),
            }
        }
    }
}

fn holder(lease: &Lease) -> &str {
    lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref()).unwrap_or_default()
}

/// Whether the object is not as it was when we looked.
fn is_stale(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if matches!(status.code, 404 | 409))
}

#[cfg(test)]
mod tests;
