//! One question in, one answer out.
//!
//! Order: the message as such (opcode, one question, EDNS version, class), then the cluster's
//! zone, then the forwarder. Everything of the zone is answered without waiting.

use std::sync::Arc;

use async_trait::async_trait;
use hickory_proto::{
    op::{Edns, Header, HeaderCounts, MessageType, Metadata, OpCode, Query, ResponseCode},
    rr::{DNSClass, Name, RecordType},
};
use hickory_server::{
    net::{runtime::Time, xfer::Protocol},
    server::{Request, RequestHandler, ResponseHandler, ResponseInfo},
    zone_handler::MessageResponseBuilder,
};
use tracing::debug;

use super::fit;
use crate::{
    answer::{Verdict, answer},
    forward::{Forwarder, UDP_PAYLOAD},
    observe::Published,
    reply::Reply,
};

/// The smallest UDP message that everybody takes, in bytes (RFC 1035 4.2.1).
const PLAIN_UDP_PAYLOAD: u16 = 512;

/// Answers questions from the published zone, and others through the forwarder.
pub struct Handler {
    zone: Published,
    forwarder: Forwarder,
}

/// A handler that several workers share.
pub(super) struct Shared(pub(super) Arc<Handler>);

impl Handler {
    /// A handler of these two sources.
    pub fn new(zone: Published, forwarder: Forwarder) -> Self {
        Self { zone, forwarder }
    }

    async fn reply(&self, request: &Request) -> Reply {
        let query = match question(request) {
            Ok(query) => query,
            Err(code) => return Reply::failure(code),
        };
        // The guard must not live across an await.
        let verdict = answer(&self.zone.load(), query);
        let mut reply = match verdict {
            Verdict::Forward => self.forward(request, query).await,
            Verdict::Reply { reply, chase: None } => reply,
            Verdict::Reply { reply, chase: Some(target) } => self.follow(request, query, reply, target).await,
        };
        reply.shuffle_addresses(&mut rand::rng());
        reply
    }

    async fn forward(&self, request: &Request, query: &Query) -> Reply {
        let dnssec_ok = request.edns.as_ref().is_some_and(|edns| edns.flags().dnssec_ok);
        match self.forwarder.ask(query, dnssec_ok, request.metadata.checking_disabled).await {
            Ok(reply) => reply,
            Err(error) => {
                debug!(name = %query.name(), wanted = %query.query_type(), %error, "not answered");
                Reply::failure(error.code())
            }
        }
    }

    /// Appends what is behind an alias that leads out of the cluster.
    async fn follow(&self, request: &Request, query: &Query, mut reply: Reply, target: Name) -> Reply {
        let behind = self.forward(request, &Query::query(target, query.query_type())).await;
        reply.code = behind.code;
        reply.recursion_available = behind.recursion_available;
        reply.answers.extend(behind.answers);
        reply.authority = behind.authority;
        reply
    }
}

/// The one question that a message may have, or the code that refuses it (as CoreDNS; more than
/// one question by RFC 9619).
fn question(request: &Request) -> Result<&Query, ResponseCode> {
    if request.metadata.op_code != OpCode::Query {
        return Err(ResponseCode::NotImp);
    }
    if request.version() > 0 {
        return Err(ResponseCode::BADVERS);
    }
    let query = match request.queries.queries() {
        [] => return Err(ResponseCode::ServFail),
        [query] => query.original(),
        _ => return Err(ResponseCode::FormErr),
    };
    if query.query_class() != DNSClass::IN || matches!(query.query_type(), RecordType::AXFR | RecordType::IXFR) {
        return Err(ResponseCode::Refused);
    }
    Ok(query)
}

#[async_trait]
impl RequestHandler for Shared {
    async fn handle_request<R: ResponseHandler, T: Time>(&self, request: &Request, mut handle: R) -> ResponseInfo {
        let reply = self.0.reply(request).await;
        let edns = request.edns.as_ref().map(response_edns);
        let limit = match (request.protocol(), &edns) {
            (Protocol::Udp, Some(edns)) => edns.max_payload(),
            (Protocol::Udp, None) => PLAIN_UDP_PAYLOAD,
            _ => u16::MAX,
        };
        let mut metadata = Metadata::response_from_request(&request.metadata);
        metadata.response_code = reply.code;
        metadata.authoritative = reply.authoritative;
        metadata.recursion_available = reply.recursion_available;
        metadata.authentic_data = reply.authentic;
        let fitted = fit::fit(&reply, request.queries.as_bytes().len(), edns.as_ref(), limit);
        metadata.truncation = fitted.truncated;
        let mut response = MessageResponseBuilder::from_message_request(request).build(
            metadata,
            fitted.answers,
            fitted.authority,
            [],
            fitted.additional,
        );
        if let Some(edns) = &edns {
            response.set_edns(edns);
        }
        handle.send_response(response).await.unwrap_or_else(|error| {
            debug!(client = %request.src(), %error, "answer not sent");
            failed(request)
        })
    }
}

/// OPT of an answer: no more bytes than pass without fragments, the DO bit as it was asked.
fn response_edns(asked: &Edns) -> Edns {
    let mut edns = Edns::new();
    edns.set_max_payload(asked.max_payload().min(UDP_PAYLOAD)).set_dnssec_ok(asked.flags().dnssec_ok);
    edns
}

fn failed(request: &Request) -> ResponseInfo {
    let mut metadata = Metadata::new(request.metadata.id, MessageType::Response, request.metadata.op_code);
    metadata.response_code = ResponseCode::ServFail;
    Header { metadata, counts: HeaderCounts::default() }.into()
}
