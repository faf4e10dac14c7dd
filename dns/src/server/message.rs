//! Messages: what a packet asks, and the bytes that answer it.
//!
//! In: a packet, and later the [`Reply`] to it. Out: the question, or the code that refuses it;
//! and a packet no larger than the transport and the client take. When something does not fit,
//! the additional section goes first and silently (RFC 2181 9), then the authority section and
//! answers from the end, and TC says so. OPT always stays (RFC 6891 7).

use hickory_proto::{
    ProtoError,
    op::{Edns, Header, Message, MessageType, Metadata, OpCode, Query, ResponseCode, emit_message_parts},
    rr::{DNSClass, Record, RecordType},
    serialize::binary::{BinDecodable, BinDecoder, BinEncoder},
};
use tracing::warn;

use crate::{forward::UDP_PAYLOAD, reply::Reply};

/// The smallest UDP message that everybody takes, in bytes (RFC 1035 4.2.1).
const PLAIN_UDP_PAYLOAD: u16 = 512;
/// OPT without options, in bytes: the root name, and type, class, TTL and length.
const OPT: u16 = 11;
/// Room that the encoder needs for a name before it finds that a pointer will do, in bytes.
const LONGEST_NAME: u16 = 255;

/// How a message travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transport {
    Udp,
    Tcp,
}

/// A message that is to be answered.
#[derive(Debug)]
pub(super) struct Incoming {
    message: Message,
    /// Only its header could be read.
    malformed: bool,
}

/// A message that is to be sent.
struct Draft<'a> {
    metadata: Metadata,
    queries: &'a [Query],
    answers: &'a [Record],
    authority: &'a [Record],
    additional: &'a [Record],
    edns: Option<Edns>,
}

impl Incoming {
    /// Reads a packet; nothing if it must not be answered, because it is too short for a header
    /// or an answer itself.
    pub(super) fn read(packet: &[u8]) -> Option<Self> {
        let header = Header::read(&mut BinDecoder::new(packet)).ok()?;
        if header.metadata.message_type == MessageType::Response {
            return None;
        }
        Some(match Message::from_vec(packet) {
            Ok(message) => Self { message, malformed: false },
            Err(_) => Self { message: header_only(header.metadata), malformed: true },
        })
    }

    /// The one question that it asks, or the code that refuses it.
    pub(super) fn question(&self) -> Result<&Query, ResponseCode> {
        // First, because other operations have other forms.
        if self.message.metadata.op_code != OpCode::Query {
            return Err(ResponseCode::NotImp);
        }
        if self.message.version() > 0 {
            return Err(ResponseCode::BADVERS);
        }
        match self.message.queries.as_slice() {
            _ if self.malformed => Err(ResponseCode::FormErr),
            [query] if query.query_class() != DNSClass::IN => Err(ResponseCode::Refused),
            [query] if matches!(query.query_type(), RecordType::AXFR | RecordType::IXFR) => Err(ResponseCode::Refused),
            [query] => Ok(query),
            // RFC 9619.
            _ => Err(ResponseCode::FormErr),
        }
    }

    /// Whether DNSSEC records are wanted (RFC 3225).
    pub(super) fn dnssec_ok(&self) -> bool {
        self.message.edns.as_ref().is_some_and(|edns| edns.flags().dnssec_ok)
    }

    /// Whether answers that cannot be verified are wanted too (RFC 4035 3.2.2).
    pub(super) fn checking_disabled(&self) -> bool {
        self.message.metadata.checking_disabled
    }

    /// Writes the answer into `buffer`, in place of what is in it.
    pub(super) fn write(&self, reply: &Reply, transport: Transport, buffer: &mut Vec<u8>) {
        let edns = self.message.edns.as_ref().map(answering_edns);
        let limit = match (transport, &edns) {
            (Transport::Tcp, _) => u16::MAX,
            (Transport::Udp, Some(edns)) => edns.max_payload(),
            (Transport::Udp, None) => PLAIN_UDP_PAYLOAD,
        };
        let mut metadata = Metadata::response_from_request(&self.message.metadata);
        metadata.response_code = reply.code;
        metadata.authoritative = reply.authoritative;
        metadata.recursion_available = reply.recursion_available;
        metadata.authentic_data = reply.authentic;
        let queries = match self.message.queries.as_slice() {
            [query] => std::slice::from_ref(query),
            _ => &[],
        };
        let draft = Draft {
            metadata,
            queries,
            answers: &reply.answers,
            authority: &reply.authority,
            additional: &reply.additional,
            edns,
        };
        draft.write(limit, buffer);
    }
}

impl Draft<'_> {
    fn write(mut self, limit: u16, buffer: &mut Vec<u8>) {
        if let Err(error) = self.fit(limit, buffer) {
            // Only records of other name servers can be like that.
            warn!(%error, "an answer cannot be written");
            self.metadata.response_code = ResponseCode::ServFail;
            (self.answers, self.authority, self.additional) = (&[], &[], &[]);
            // A question that was read fits, and nothing else is left.
            let _ = self.encode(limit, buffer);
        }
    }

    fn fit(&mut self, limit: u16, buffer: &mut Vec<u8>) -> Result<(), ProtoError> {
        if self.fits(limit, buffer)? {
            return Ok(());
        }
        self.additional = &[];
        if self.fits(limit, buffer)? {
            return Ok(());
        }
        self.metadata.truncation = true;
        self.authority = &[];
        // Once to learn how many answers leave room for OPT.
        let edns = self.edns.take();
        let room = edns.as_ref().map_or(limit, |_| limit - OPT);
        let answers = self.encode(room, buffer)?.counts.answers;
        self.answers = &self.answers[..answers.into()];
        self.edns = edns;
        self.encode(limit, buffer).map(drop)
    }

    /// Writes all of it, and says whether that was no more than `limit` allows.
    fn fits(&self, limit: u16, buffer: &mut Vec<u8>) -> Result<bool, ProtoError> {
        let header = self.encode(limit.saturating_add(LONGEST_NAME), buffer)?;
        Ok(!header.metadata.truncation && buffer.len() <= limit.into())
    }

    /// Writes as much as `limit` allows; the header says whether and where something is missing.
    fn encode(&self, limit: u16, buffer: &mut Vec<u8>) -> Result<Header, ProtoError> {
        buffer.clear();
        let mut encoder = BinEncoder::new(buffer);
        encoder.set_max_size(limit);
        emit_message_parts(
            &self.metadata,
            &mut self.queries.iter(),
            &mut self.answers.iter(),
            &mut self.authority.iter(),
            &mut self.additional.iter(),
            self.edns.as_ref(),
            None,
            &mut encoder,
        )
    }
}

fn header_only(metadata: Metadata) -> Message {
    let mut message = Message::query();
    message.metadata = metadata;
    message
}

/// OPT of an answer: no more bytes than pass without fragments, the DO bit as it was asked.
fn answering_edns(asked: &Edns) -> Edns {
    let mut edns = Edns::new();
    edns.set_max_payload(asked.max_payload().min(UDP_PAYLOAD)).set_dnssec_ok(asked.flags().dnssec_ok);
    edns
}

#[cfg(test)]
mod tests;
