//! Asks the node's name servers about names that are not the cluster's.
//!
//! In: a question, and who has it. Out: their reply, from the [`crate::cache`] when it is still
//! good, else from the first server that gives one; a question that is being asked already is not
//! asked twice. Bounded: in questions at once, of all clients and of each, in time for each server
//! and for all of them, in memory. With nobody to ask it fails at once.

mod exchange;
#[cfg(test)]
pub(crate) mod fake;
mod flights;
pub mod upstreams;

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time,
};

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use tokio::{
    sync::Semaphore,
    time::{Duration, Instant},
};
use tracing::debug;

use self::{
    exchange::{Answer, ExchangeError, exchange},
    flights::{Boarding, Flights, Outcome},
    upstreams::Servers,
};
use crate::{
    cache::{Cache, Question},
    reply::Reply,
    shares::Shares,
};

/// How long one server may take, as in CoreDNS and glibc.
const SERVER_TIMEOUT: Duration = Duration::from_secs(2);
/// How long all servers may take together: what a client waits for by default.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a server is asked that stays silent; packets get lost.
const ATTEMPTS: usize = 2;
/// How many questions may wait for servers at once. Each has a socket, and a process that serves
/// DNS beside other things has some 1000 descriptors.
const MAX_WAITING: usize = 256;
/// How many questions of one client may wait at once: one that asks more than it is answered leaves
/// places to the others.
const MAX_WAITING_EACH: usize = 64;
/// How much memory cached replies may take, in bytes: some 5,000 of the usual size.
const CACHE_CAPACITY: usize = 4 << 20;
/// The largest message on UDP, for which no path needs fragments (DNS flag day 2020).
pub const UDP_PAYLOAD: u16 = 1232;

/// Asks other name servers.
#[derive(Debug)]
pub struct Forwarder {
    servers: Servers,
    cache: Cache,
    slots: Semaphore,
    shares: Shares,
    flights: Flights,
}

/// A question to others, with the bits that change their answer.
#[derive(Clone, Debug)]
pub struct Forwarded {
    /// The name and type.
    pub query: Query,
    /// DO: DNSSEC records are wanted.
    pub dnssec_ok: bool,
    /// CD: answers that cannot be verified are wanted too.
    pub checking_disabled: bool,
}

/// Why there is no reply.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ForwardError {
    /// There is nobody to ask.
    #[error("no name server to ask")]
    NoServer,
    /// Too many questions are waiting already.
    #[error("{MAX_WAITING} questions are waiting for name servers already")]
    Busy,
    /// Too many questions of this client are waiting already.
    #[error("{MAX_WAITING_EACH} questions of this client are waiting for name servers already")]
    ClientBusy,
    /// Nobody answered; this is what the first one did instead.
    #[error("no name server answered: {0}")]
    Failed(Arc<ExchangeError>),
}

impl ForwardError {
    /// The response code that tells a client.
    pub fn code(&self) -> ResponseCode {
        match self {
            Self::Busy | Self::ClientBusy => ResponseCode::Refused,
            Self::NoServer | Self::Failed(_) => ResponseCode::ServFail,
        }
    }
}

impl Forwarded {
    fn question(&self) -> Question {
        Question::new(&self.query, self.dnssec_ok, self.checking_disabled)
    }

    fn message(&self) -> Message {
        let mut message = Message::new(rand::random(), MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = true;
        message.metadata.checking_disabled = self.checking_disabled;
        message.add_query(self.query.clone());
        let mut edns = Edns::new();
        edns.set_max_payload(UDP_PAYLOAD).set_dnssec_ok(self.dnssec_ok);
        message.set_edns(edns);
        message
    }
}

impl Forwarder {
    /// A forwarder to `servers` with an empty cache.
    pub fn new(servers: Servers) -> Self {
        Self {
            servers,
            cache: Cache::new(CACHE_CAPACITY),
            slots: Semaphore::new(MAX_WAITING),
            shares: Shares::new(MAX_WAITING_EACH),
            flights: Flights::default(),
        }
    }

    /// The reply that is still good from before.
    pub fn cached(&self, asked: &Forwarded) -> Option<Reply> {
        self.cache.get(&asked.question(), &asked.query, time::Instant::now())
    }

    /// The reply of a name server, for `client`.
    pub async fn ask(&self, asked: &Forwarded, client: IpAddr) -> Result<Reply, ForwardError> {
        let _share = self.shares.take(client).ok_or(ForwardError::ClientBusy)?;
        loop {
            match self.flights.board(asked.question()) {
                Boarding::Lead(flight) => {
                    let outcome = self.lead(asked).await;
                    flight.land(&outcome);
                    return outcome;
                }
                Boarding::Join(joined) => {
                    if let Some(outcome) = joined.outcome().await {
                        return spelled(outcome, asked);
                    }
                }
            }
        }
    }

    async fn lead(&self, asked: &Forwarded) -> Outcome {
        let _slot = self.slots.try_acquire().map_err(|_| ForwardError::Busy)?;
        let Answer { message, packet } = self.ask_servers(&asked.message()).await?;
        let reply = Reply::from(message);
        self.cache.put(asked.question(), &packet, &reply, time::Instant::now());
        Ok(reply)
    }

    /// The first good answer. A server that fails, or says that it failed, hands on to the next;
    /// the one that answered is the first to be asked next time. Those that stay silent are
    /// asked again at the end.
    async fn ask_servers(&self, message: &Message) -> Result<Answer, ForwardError> {
        let deadline = Instant::now() + TOTAL_TIMEOUT;
        let mut outcome = Err(ForwardError::NoServer);
        let mut servers = self.servers.in_order();
        for _ in 0..ATTEMPTS {
            let mut silent = Vec::new();
            for server in servers {
                let now = Instant::now();
                if now >= deadline {
                    return outcome;
                }
                match exchange(server, message, deadline.min(now + SERVER_TIMEOUT)).await {
                    Ok(answer) if !is_failure(server, &answer) => {
                        self.servers.prefer(server);
                        return Ok(answer);
                    }
                    // What a server said is worth more than that another was silent.
                    Ok(answer) => outcome = Ok(answer),
                    Err(error) => {
                        debug!(%server, %error, "no answer from name server");
                        if matches!(error, ExchangeError::Timeout) {
                            silent.push(server);
                        }
                        if matches!(outcome, Err(ForwardError::NoServer)) {
                            outcome = Err(ForwardError::Failed(error.into()));
                        }
                    }
                }
            }
            servers = silent;
        }
        outcome
    }
}

/// What somebody else was answered, in the words of this question.
fn spelled(mut outcome: Outcome, asked: &Forwarded) -> Outcome {
    if let Ok(reply) = &mut outcome {
        reply.spell_as(asked.query.name());
    }
    outcome
}

fn is_failure(server: SocketAddr, answer: &Answer) -> bool {
    let code = answer.message.metadata.response_code;
    let failed =
        matches!(code, ResponseCode::ServFail | ResponseCode::Refused | ResponseCode::NotImp | ResponseCode::FormErr);
    if failed {
        debug!(%server, %code, "name server failed");
    }
    failed
}

#[cfg(test)]
mod tests;
