//! Cuts a reply to the size that its transport carries.
//!
//! hickory-server cuts where the buffer ends and then loses OPT; here OPT always stays (RFC 6891
//! 7). First the additional section goes, then the authority section, then answers from the end.

use hickory_proto::{
    op::Edns,
    rr::{Name, RData, Record, rdata},
    serialize::binary::{BinEncodable, BinEncoder},
};

use crate::reply::Reply;

/// The header of a message, in bytes (RFC 1035 4.1.1).
const HEADER: usize = 12;
/// Type, class, TTL and length of a record, in bytes.
const RECORD_FIXED: usize = 10;
/// No record takes fewer bytes: a pointer for its name, the fixed part, no data.
const SMALLEST_RECORD: usize = 2 + RECORD_FIXED;
/// OPT without options, in bytes: the root name and the fixed part.
const OPT: usize = 1 + RECORD_FIXED;

/// What of a reply goes into the message.
#[derive(Debug, PartialEq)]
pub(super) struct Fitted<'a> {
    pub(super) answers: &'a [Record],
    pub(super) authority: &'a [Record],
    pub(super) additional: &'a [Record],
    /// TC: something is missing.
    pub(super) truncated: bool,
}

/// As much of `reply` as fits into `limit` bytes after a question of `question` bytes.
pub(super) fn fit<'a>(reply: &'a Reply, question: usize, edns: Option<&Edns>, limit: u16) -> Fitted<'a> {
    let used = HEADER + question + edns.map_or(0, |_| OPT);
    let room = usize::from(limit).saturating_sub(used);
    let whole = Fitted {
        answers: &reply.answers,
        authority: &reply.authority,
        additional: &reply.additional,
        truncated: false,
    };
    let sections = [whole.answers, whole.authority, whole.additional];
    // Compression only makes it smaller, so most replies need no second look.
    if sections.iter().copied().flatten().map(largest).sum::<usize>() <= room {
        return whole;
    }
    let start = HEADER + question;
    if written(&sections, start) <= room {
        return whole;
    }
    let cut = |answers, authority| Fitted { answers, authority, additional: &[], truncated: true };
    if written(&sections[..2], start) <= room {
        return cut(whole.answers, whole.authority);
    }
    // The longest beginning of the answers that fits.
    let lengths: Vec<usize> = (1..=whole.answers.len().min(room / SMALLEST_RECORD)).collect();
    let fitting = lengths.partition_point(|length| written(&[&whole.answers[..*length]], start) <= room);
    cut(&whole.answers[..fitting], &[])
}

/// No fewer bytes than a record takes.
fn largest(record: &Record) -> usize {
    let data = match &record.data {
        RData::A(_) => 4,
        RData::AAAA(_) => 16,
        RData::SRV(srv) => 6 + wire_length(&srv.target),
        RData::CNAME(rdata::CNAME(name)) | RData::PTR(rdata::PTR(name)) | RData::NS(rdata::NS(name)) => {
            wire_length(name)
        }
        RData::SOA(soa) => 20 + wire_length(&soa.mname) + wire_length(&soa.rname),
        // Seldom enough to be written to know.
        _ => return written(&[std::slice::from_ref(record)], HEADER),
    };
    wire_length(&record.name) + RECORD_FIXED + data
}

/// The bytes of a name without compression.
fn wire_length(name: &Name) -> usize {
    name.len() + 1
}

/// The bytes that these sections take when they begin at `start`.
fn written(sections: &[&[Record]], start: usize) -> usize {
    let mut bytes = vec![0; start];
    let mut encoder = BinEncoder::with_offset(&mut bytes, u32::try_from(start).unwrap_or(u32::MAX));
    encoder.set_max_size(u16::MAX);
    for record in sections.iter().copied().flatten() {
        if record.emit(&mut encoder).is_err() {
            return usize::MAX;
        }
    }
    bytes.len().saturating_sub(start)
}
