//! How many calls at once, and for how long.
//!
//! In: calls that want to begin. Out: a [`Place`] for as long as a call takes, or 429. Answers that
//! go on for as long as the client likes have no place and no deadline.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use nodeplane_api::status::Status;
use nodeplane_metrics::Text;
use tokio_util::sync::CancellationToken;

use super::{
    authn::{Caller, MASTERS},
    call::Query,
};
use crate::go_duration;

/// Seconds after which a client that found no place may try again.
const RETRY_AFTER: u32 = 1;

/// How often it is told how many places were taken at most.
const TOLD_EVERY: Duration = Duration::from_secs(1);

/// What is allowed. The defaults are upstream's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Calls at once that only read; 0 for any number.
    pub reading: usize,
    /// Calls at once that change something; 0 for any number.
    pub writing: usize,
    /// How long an answer may take to begin.
    pub request: Duration,
    /// How long a watch goes on at least, when the client does not say.
    pub watch: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        let (request, watch) = (Duration::from_secs(60), Duration::from_secs(1800));
        Self { reading: 400, writing: 200, request, watch }
    }
}

impl Bounds {
    /// How long the answer to a call may take to begin. A client may want it sooner.
    ///
    /// # Errors
    /// 400 for a `timeout` that is no duration.
    pub(super) fn deadline(&self, query: &Query) -> Result<Duration, Status> {
        let asked = match query.text("timeout") {
            "" => return Ok(self.request),
            text => go_duration::parse(text),
        };
        let asked = asked
            .map_err(|error| Status::bad_request(format!("invalid timeout specified in the request URL - {error}")))?;
        Ok(if asked.is_zero() { self.request } else { asked.min(self.request) })
    }
}

/// The places of all calls.
#[derive(Debug)]
pub struct Gate {
    reading: Lane,
    writing: Lane,
}

/// The places of calls of one sort.
#[derive(Debug)]
struct Lane {
    places: usize,
    taken: AtomicUsize,
    /// The most that were taken since it was last told.
    most: AtomicUsize,
    told: AtomicUsize,
}

/// A call that is under way; over when this is dropped.
#[derive(Debug)]
pub(super) struct Place<'a>(&'a AtomicUsize);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Gate {
    /// With so many places.
    pub(super) fn new(bounds: &Bounds) -> Self {
        Self { reading: Lane::new(bounds.reading), writing: Lane::new(bounds.writing) }
    }

    /// Lets a call begin. An administrator, and whatever runs in this process, always may, without
    /// a place if there is none.
    ///
    /// # Errors
    /// 429.
    pub(super) fn enter(&self, reads: bool, caller: &Caller) -> Result<Option<Place<'_>>, Status> {
        let lane = if reads { &self.reading } else { &self.writing };
        match lane.enter() {
            Some(place) => Ok(Some(place)),
            None if caller.is_in(MASTERS) => Ok(None),
            None => Err(Status::too_many_requests("Too many requests, please try again later.", RETRY_AFTER)),
        }
    }

    /// Tells every second how many places were taken at most, until `stop`.
    pub async fn watch(&self, stop: &CancellationToken) {
        let mut ticks = tokio::time::interval(TOLD_EVERY);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            self.reading.tell();
            self.writing.tell();
        }
    }

    /// Shows what was last told.
    pub(super) fn show(&self, text: &mut Text) {
        let help = "Maximal number of currently used inflight request limit of this apiserver per request kind in \
                    last second.";
        let mut group = text.group("apiserver_current_inflight_requests", "gauge", help);
        for (name, lane) in [("mutating", &self.writing), ("readOnly", &self.reading)] {
            group.count(&[("request_kind", name)], lane.told.load(Ordering::Relaxed) as u64);
        }
    }
}

impl Lane {
    fn new(places: usize) -> Self {
        Self { places, taken: AtomicUsize::new(0), most: AtomicUsize::new(0), told: AtomicUsize::new(0) }
    }

    fn enter(&self) -> Option<Place<'_>> {
        let taken = self.taken.fetch_add(1, Ordering::Relaxed) + 1;
        // Given back when it is dropped, which is at once if it is one too many.
        let place = Place(&self.taken);
        if self.places != 0 && taken > self.places {
            return None;
        }
        self.most.fetch_max(taken, Ordering::Relaxed);
        Some(place)
    }

    fn tell(&self) {
        // Those that go on count for the next second, too.
        let most = self.most.swap(self.taken.load(Ordering::Relaxed), Ordering::Relaxed);
        self.told.store(most, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn somebody() -> Caller {
        Caller::named("jane", Vec::new())
    }

    #[test]
    fn a_call_too_many_is_told_to_come_again_and_an_administrator_is_not() {
        let gate = Gate::new(&Bounds { reading: 2, writing: 1, ..Bounds::default() });
        let held = gate.enter(false, &somebody()).unwrap();
        let refused = gate.enter(false, &somebody()).unwrap_err();
        assert_eq!((refused.code, refused.reason.as_str(), refused.retry_after()), (429, "TooManyRequests", Some(1)));
        assert_eq!(refused.message, "Too many requests, please try again later.");
        assert!(gate.enter(false, &Caller::component("admin")).unwrap().is_none());
        // Readers have places of their own.
        assert!(gate.enter(true, &somebody()).unwrap().is_some());
        drop(held);
        assert!(gate.enter(false, &somebody()).unwrap().is_some());
    }

    #[test]
    fn no_limit_lets_everybody_in() {
        let gate = Gate::new(&Bounds { reading: 0, writing: 0, ..Bounds::default() });
        let held: Vec<_> = (0..1000).map(|_| gate.enter(false, &somebody()).unwrap()).collect();
        assert!(held.iter().all(Option::is_some));
    }

    #[test]
    fn what_is_told_is_the_most_of_the_last_second() {
        let gate = Gate::new(&Bounds::default());
        let shown = || {
            let mut text = Text::default();
            gate.show(&mut text);
            let text = text.finish();
            let name = |kind: &str| format!("apiserver_current_inflight_requests{{request_kind=\"{kind}\"}}");
            ["mutating", "readOnly"].map(|kind| crate::metrics::tests::sample(&text, &name(kind)))
        };
        let long = gate.enter(true, &somebody()).unwrap();
        drop((gate.enter(true, &somebody()).unwrap(), gate.enter(false, &somebody()).unwrap()));
        gate.reading.tell();
        gate.writing.tell();
        assert_eq!(shown(), [1.0, 2.0]);
        gate.reading.tell();
        gate.writing.tell();
        assert_eq!(shown(), [0.0, 1.0]);
        drop(long);
    }

    #[test]
    fn a_client_may_want_its_answer_sooner_but_not_later() {
        let bounds = Bounds::default();
        let deadline = |query: &str| bounds.deadline(&Query::parse(query)).map(|limit| limit.as_millis());
        assert_eq!(deadline("timeout=32s"), Ok(32_000));
        for longest in ["", "timeout=", "timeout=0s", "timeout=-1s", "timeout=1h"] {
            assert_eq!(deadline(longest), Ok(60_000), "{longest}");
        }
        let refused = deadline("timeout=soon").unwrap_err();
        assert_eq!(refused.code, 400);
        let words = "invalid timeout specified in the request URL - time: invalid duration \"soon\"";
        assert_eq!(refused.message, words);
    }
}
