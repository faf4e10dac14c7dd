//! Questions that are being asked right now: who asks the same meanwhile waits for the same answer.
//!
//! So many clients that want one name cost one question; a server that leads back to us meets its
//! own question and ends there; and somebody who guesses identifiers has one to hit, not many.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

use super::ForwardError;
use crate::{cache::Question, reply::Reply};

/// What came of a question.
pub(super) type Outcome = Result<Reply, ForwardError>;

/// All questions that are being asked.
#[derive(Debug, Default)]
pub(super) struct Flights(Mutex<HashMap<Question, watch::Receiver<Option<Outcome>>>>);

/// What to do about a question.
pub(super) enum Boarding<'a> {
    /// Ask it.
    Lead(Flight<'a>),
    /// Somebody asks it: wait.
    Join(Joined),
}

/// A question that is being asked, until this is dropped.
pub(super) struct Flight<'a> {
    flights: &'a Flights,
    question: Question,
    outcome: watch::Sender<Option<Outcome>>,
}

/// A question that somebody else asks.
pub(super) struct Joined(watch::Receiver<Option<Outcome>>);

impl Flights {
    /// Leads the question if nobody does.
    pub(super) fn board(&self, question: Question) -> Boarding<'_> {
        let mut flights = self.lock();
        if let Some(outcome) = flights.get(&question) {
            return Boarding::Join(Joined(outcome.clone()));
        }
        let (outcome, receiver) = watch::channel(None);
        flights.insert(question.clone(), receiver);
        Boarding::Lead(Flight { flights: self, question, outcome })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Question, watch::Receiver<Option<Outcome>>>> {
        // Nothing in there can be half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Flight<'_> {
    /// Tells everybody who waits.
    pub(super) fn land(self, outcome: &Outcome) {
        self.outcome.send_replace(Some(outcome.clone()));
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.flights.lock().remove(&self.question);
    }
}

impl Joined {
    /// The outcome; nothing when whoever led has given up.
    pub(super) async fn outcome(mut self) -> Option<Outcome> {
        self.0.wait_for(Option::is_some).await.ok()?.clone()
    }
}
