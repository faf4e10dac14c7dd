//! Asks the node's name servers about names that are not the cluster's.
//!
//! In: a question. Out: their reply, from the [`crate::cache`] when it is still good, else from
//! the first server that gives one. Bounded: in questions at once, in time for each server and
//! for all of them, in memory. With nobody to ask it fails at once.

mod exchange;
pub mod upstreams;

use std::time::{Duration, Instant};

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use tokio::sync::Semaphore;
use tracing::{debug, trace};

use self::{exchange::ExchangeError, upstreams::Servers};
use crate::{
    cache::{Cache, Question},
    reply::Reply,
};

/// How long one server may take, as in CoreDNS and glibc.
const SERVER_TIMEOUT: Duration = Duration::from_secs(2);
/// How long all servers may take together: what a client waits for by default.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(5);
/// How many questions may wait for servers at once, as in kubeadm's configuration of CoreDNS.
const MAX_WAITING: usize = 1000;
/// How many replies are cached, as in CoreDNS.
const CACHE_CAPACITY: usize = 19_968;
/// The largest message on UDP, for which no path needs fragments (DNS flag day 2020).
pub const UDP_PAYLOAD: u16 = 1232;

/// Asks other name servers.
#[derive(Debug)]
pub struct Forwarder {
    servers: Servers,
    cache: Cache,
    slots: Semaphore,
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
    /// Nobody answered; this is what the last one did instead.
    #[error("no name server answered: {0}")]
    Failed(ExchangeError),
    /// The question cannot be written.
    #[error("cannot write the question: {0}")]
    Question(hickory_proto::ProtoError),
}

impl ForwardError {
    /// The response code that tells a client.
    pub fn code(&self) -> ResponseCode {
        match self {
            Self::Busy => ResponseCode::Refused,
            Self::NoServer | Self::Failed(_) | Self::Question(_) => ResponseCode::ServFail,
        }
    }
}

impl Forwarder {
    /// A forwarder to `servers` with an empty cache.
    pub fn new(servers: Servers) -> Self {
        Self { servers, cache: Cache::new(CACHE_CAPACITY), slots: Semaphore::new(MAX_WAITING) }
    }

    /// The reply to `query`, asked with these DO and CD bits.
    pub async fn ask(&self, query: &Query, dnssec_ok: bool, checking_disabled: bool) -> Result<Reply, ForwardError> {
        let question = Question::new(query, dnssec_ok, checking_disabled);
        if let Some(reply) = self.cache.get(&question, query, Instant::now()) {
            trace!(name = %query.name(), "answered from the cache");
            return Ok(reply);
        }
        let _slot = self.slots.try_acquire().map_err(|_| ForwardError::Busy)?;
        let message = message(query, dnssec_ok, checking_disabled);
        let reply = self.ask_servers(&message).await?;
        self.cache.put(question, &reply, Instant::now());
        Ok(reply)
    }

    /// The first good reply. A server that fails, or says that it failed, hands on to the next;
    /// the one that answered is the first to be asked next time.
    async fn ask_servers(&self, message: &Message) -> Result<Reply, ForwardError> {
        let deadline = tokio::time::Instant::now() + TOTAL_TIMEOUT;
        let mut outcome = Err(ForwardError::NoServer);
        for server in self.servers.in_order() {
            let until = deadline.min(tokio::time::Instant::now() + SERVER_TIMEOUT);
            let exchange = exchange::exchange(server, message, until);
            match exchange.await {
                Ok(response) if is_failure(response.metadata.response_code) => {
                    debug!(%server, code = %response.metadata.response_code, "name server failed");
                    outcome = Ok(reply(response));
                }
                Ok(response) => {
                    self.servers.prefer(server);
                    return Ok(reply(response));
                }
                Err(error) => {
                    debug!(%server, %error, "no answer from name server");
                    // What a server said is worth more than that another was silent.
                    if outcome.is_err() {
                        outcome = Err(ForwardError::Failed(error));
                    }
                }
            }
            if tokio::time::Instant::now() >= deadline {
                break;
            }
        }
        outcome
    }
}

fn is_failure(code: ResponseCode) -> bool {
    matches!(code, ResponseCode::ServFail | ResponseCode::Refused | ResponseCode::NotImp | ResponseCode::FormErr)
}

fn message(query: &Query, dnssec_ok: bool, checking_disabled: bool) -> Message {
    let mut message = Message::new(rand::random(), MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.metadata.checking_disabled = checking_disabled;
    message.add_query(query.clone());
    let mut edns = Edns::new();
    edns.set_max_payload(UDP_PAYLOAD).set_dnssec_ok(dnssec_ok);
    message.set_edns(edns);
    message
}

fn reply(response: Message) -> Reply {
    let metadata = response.metadata;
    Reply {
        code: metadata.response_code,
        authoritative: false,
        recursion_available: metadata.recursion_available,
        authentic: metadata.authentic_data,
        answers: response.answers,
        authority: response.authorities,
        additional: response.additionals,
    }
}

#[cfg(test)]
mod tests;
