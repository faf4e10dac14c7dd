//! One question in, one answer out; none for those who may not ask.
//!
//! Everything of the cluster's zone, and what the cache still knows, is answered at once; only a
//! question to other name servers waits. A message that makes no sense is refused before both.

use std::net::IpAddr;

use hickory_proto::op::{Query, ResponseCode};
use tracing::debug;

use super::{clients::Clients, message::Incoming};
use crate::{
    answer::{Verdict, answer},
    forward::{Forwarded, Forwarder},
    observe::Published,
    reply::Reply,
};

/// Answers questions from the published zone, and others through the forwarder.
pub struct Handler {
    zone: Published,
    forwarder: Forwarder,
    clients: Clients,
}

/// What is to be done about a message.
pub(super) enum Outcome {
    /// Send this.
    Reply(Reply),
    /// Others have to be asked first.
    Pending(Pending),
}

/// A question to other name servers.
pub(super) struct Pending {
    asked: Forwarded,
    client: IpAddr,
    /// The alias that leads to them, when it is not the question itself.
    alias: Option<Reply>,
}

impl Handler {
    /// A handler of these two sources, for `clients`.
    pub fn new(zone: Published, forwarder: Forwarder, clients: Clients) -> Self {
        Self { zone, forwarder, clients }
    }

    /// Whether this client may ask.
    pub(super) fn serves(&self, client: IpAddr) -> bool {
        self.clients.may_ask(client)
    }

    /// Answers everything that needs no waiting.
    pub(super) fn at_once(&self, incoming: &Incoming, client: IpAddr) -> Outcome {
        if !self.serves(client) {
            return Outcome::Reply(Reply::failure(ResponseCode::Refused));
        }
        let query = match incoming.question() {
            Ok(query) => query,
            Err(code) => return Outcome::Reply(Reply::failure(code)),
        };
        let (query, alias) = match answer(&self.zone.load(), query) {
            Verdict::Reply { reply, chase: None } => return Outcome::Reply(shuffled(reply)),
            Verdict::Reply { reply, chase: Some(target) } => (Query::query(target, query.query_type()), Some(reply)),
            Verdict::Forward => (query.clone(), None),
        };
        let asked =
            Forwarded { query, dnssec_ok: incoming.dnssec_ok(), checking_disabled: incoming.checking_disabled() };
        match self.forwarder.cached(&asked) {
            Some(reply) => Outcome::Reply(shuffled(behind(alias, reply))),
            None => Outcome::Pending(Pending { asked, client, alias }),
        }
    }

    /// Answers what other name servers know.
    pub(super) async fn later(&self, pending: Pending) -> Reply {
        let Pending { asked, client, alias } = pending;
        let reply = self.forwarder.ask(&asked, client).await.unwrap_or_else(|error| {
            debug!(name = %asked.query.name(), wanted = %asked.query.query_type(), %error, "not answered");
            Reply::failure(error.code())
        });
        shuffled(behind(alias, reply))
    }
}

/// What is behind an alias, with the alias in front of it.
fn behind(alias: Option<Reply>, reply: Reply) -> Reply {
    let Some(mut alias) = alias else { return reply };
    alias.code = reply.code;
    alias.recursion_available = reply.recursion_available;
    alias.answers.extend(reply.answers);
    alias.authority = reply.authority;
    alias
}

fn shuffled(mut reply: Reply) -> Reply {
    reply.shuffle_addresses(&mut rand::rng());
    reply
}
