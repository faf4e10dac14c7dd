//! Asks the node's name servers about names that are not the cluster's.
//!
//! In: a question. Out: their reply, from the [`crate::cache`] when it is still good, else from
//! the first server that gives one. Bounded: in questions at once, in time for each server and
//! for all of them, in memory. With nobody to ask it fails at once.

mod exchange;
#[cfg(test)]
pub(crate) mod fake;
pub mod upstreams;

use std::{net::SocketAddr, time};

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use tokio::{
    sync::Semaphore,
    time::{Duration, Instant},
};
use tracing::debug;

use self::{
    exchange::{Answer, ExchangeError, exchange},
    upstreams::Servers,
};
use crate::{
    cache::{Cache, Question},
    reply::Reply,
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
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    /// There is nobody to ask.
    #[error("no name server to ask")]
    NoServer,
    /// Too many questions are waiting already.
    #[error("{MAX_WAITING} questions are waiting for name servers already")]
    Busy,
    /// Nobody answered; this is what the first one did instead.
    #[error("no name server answered: {0}")]
    Failed(ExchangeError),
}

impl ForwardError {
    /// The response code that tells a client.
    pub fn code(&self) -> ResponseCode {
        match self {
            Self::Busy => ResponseCode::Refused,
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
        Self { servers, cache: Cache::new(CACHE_CAPACITY), slots: Semaphore::new(MAX_WAITING) }
    }

    /// The reply that is still good from before.
    pub fn cached(&self, asked: &Forwarded) -> Option<Reply> {
        self.cache.get(&asked.question(), &asked.query, time::Instant::now())
    }

    /// The reply of a name server.
    pub async fn ask(&self, asked: &Forwarded) -> Result<Reply, ForwardError> {
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
                            outcome = Err(ForwardError::Failed(error));
                        }
                    }
                }
            }
            servers = silent;
        }
        outcome
    }
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
