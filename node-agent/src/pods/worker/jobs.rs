//! The jobs of a pod that are under way.

use std::{collections::HashMap, future::Future};

use tokio::task::{Id, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::pods::message::{Done, Failure, Job};

/// A job that came to its end.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) job: Job,
    pub(super) result: Result<Done, Failure>,
}

/// Tasks by what they work on.
#[derive(Default)]
pub(super) struct Jobs {
    tasks: JoinSet<Result<Done, Failure>>,
    running: HashMap<Id, (Job, CancellationToken)>,
}

impl Jobs {
    /// Starts a job; it should end soon after its token is cancelled.
    pub(super) fn start<F>(&mut self, job: Job, work: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = Result<Done, Failure>> + Send + 'static,
    {
        let token = CancellationToken::new();
        let id = self.tasks.spawn(work(token.clone())).id();
        self.running.insert(id, (job, token));
    }

    /// Asks a job to give up.
    pub(super) fn cancel(&self, job: &Job) {
        self.running.values().filter(|(running, _)| running == job).for_each(|(_, token)| token.cancel());
    }

    /// The next end. May be dropped and asked again.
    pub(super) async fn next(&mut self) -> Ended {
        let (id, result) = match self.tasks.join_next_with_id().await {
            Some(Ok((id, result))) => (id, result),
            // A panic: a fault of ours, which must not leave the job under way for ever.
            Some(Err(error)) => (error.id(), Err(Failure::new("InternalError", error))),
            None => return std::future::pending().await,
        };
        match self.running.remove(&id) {
            Some((job, _)) => Ended { job, result },
            None => unreachable!("every task was entered when it was started"),
        }
    }

    /// Drops all jobs where they stand.
    pub(super) async fn shutdown(&mut self) {
        self.tasks.shutdown().await;
    }
}
