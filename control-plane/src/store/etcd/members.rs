//! The members of etcd, of which one is in use.
//!
//! In: calls, as functions of a client. Out: their answers, from a member that is there. When one
//! does not answer, all go on with the next. A read is asked again there; a write only when it is
//! certain that it was never sent. All at one member: a client that spreads its calls keeps
//! sending some to one that is dead.

use std::{
    future::Future,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use etcd_client::{Client, Error};
use tokio::sync::OnceCell;
use tracing::warn;

use super::{
    connect::{self, EtcdOptions},
    fault::Fault,
};

/// Whether a call may happen twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeat {
    /// It changes nothing, or nothing the second time.
    Any,
    /// It is sent once.
    Unsent,
}

/// All members.
pub(super) struct Members {
    options: EtcdOptions,
    /// One per endpoint, made when it is needed.
    clients: Vec<OnceCell<Client>>,
    current: AtomicUsize,
}

impl Members {
    pub(super) fn new(options: EtcdOptions) -> Self {
        let clients = options.endpoints.iter().map(|_| OnceCell::new()).collect();
        Self { options, clients, current: AtomicUsize::new(0) }
    }

    /// Asks the member in use, and others when it does not answer.
    pub(super) async fn call<T, F>(
        &self,
        limit: Duration,
        repeat: Repeat,
        ask: impl Fn(Client) -> F,
    ) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let mut last = None;
        // One more than there are members: a token may be old.
        for _ in 0..=self.clients.len() {
            let at = self.current();
            match self.ask(at, limit, &ask).await {
                Err(fault) if fault.is_stale_token() => {
                    self.renew_token(at, limit).await?;
                    last = Some(fault);
                }
                Err(fault) if fault.is_of_member() => {
                    self.leave(at, &fault);
                    if repeat == Repeat::Unsent && !fault.is_unsent() {
                        return Err(fault);
                    }
                    last = Some(fault);
                }
                answer => return answer,
            }
        }
        Err(last.unwrap_or_else(|| Fault::Unavailable(anyhow::anyhow!("there is no endpoint of etcd"))))
    }

    async fn ask<T, F>(&self, at: usize, limit: Duration, ask: impl Fn(Client) -> F) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let client = match tokio::time::timeout(limit, self.client(at)).await {
            Ok(client) => client.map_err(Fault::unsent)?,
            Err(_) => return Err(Fault::Unsent(anyhow::anyhow!("no connection within {limit:?}"))),
        };
        match tokio::time::timeout(limit, ask(client)).await {
            Ok(answer) => answer.map_err(Fault::from),
            Err(_) => Err(Fault::Silent(limit)),
        }
    }

    async fn client(&self, at: usize) -> Result<Client, Error> {
        let cell = self.clients.get(at).ok_or_else(|| Error::InvalidArgs("there is no endpoint of etcd".to_owned()))?;
        let client = cell.get_or_try_init(|| connect::client(&self.options, &self.options.endpoints[at])).await;
        client.cloned()
    }

    async fn renew_token(&self, at: usize, limit: Duration) -> Result<(), Fault> {
        self.ask(at, limit, |client| async move { client.refresh_token().await }).await
    }

    /// Which member is in use.
    pub(super) fn current(&self) -> usize {
        self.current.load(Ordering::Relaxed)
    }

    /// Goes on with the next member, unless somebody has done so already.
    pub(super) fn leave(&self, at: usize, fault: &Fault) {
        let next = (at + 1) % self.clients.len().max(1);
        let left = self.current.compare_exchange(at, next, Ordering::Relaxed, Ordering::Relaxed);
        if left.is_ok() && next != at {
            warn!(from = self.options.endpoints[at], to = self.options.endpoints[next], %fault, "changing the member of etcd");
        }
    }

    /// A key that nobody writes; reading it gives the newest revision.
    pub(super) fn no_key(&self) -> String {
        format!("{}/none", self.options.root.trim_end_matches('/'))
    }
}
