//! What goes into a message: the outcome of a question, wherever it came from.
//!
//! Made by [`crate::answer`], [`crate::forward`] and [`crate::cache`], written by
//! [`crate::server`].

use std::net::IpAddr;

use hickory_proto::{
    op::{Message, ResponseCode},
    rr::{Name, RData, Record, RecordType, rdata},
};
use rand::{Rng, seq::SliceRandom};

/// The outcome of a question.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// The response code.
    pub code: ResponseCode,
    /// AA: the answer is our own data.
    pub authoritative: bool,
    /// RA: somebody was asked on the client's behalf.
    pub recursion_available: bool,
    /// AD: the one who was asked has verified it.
    pub authentic: bool,
    /// The answer section.
    pub answers: Vec<Record>,
    /// The authority section.
    pub authority: Vec<Record>,
    /// The additional section, without OPT.
    pub additional: Vec<Record>,
}

impl Reply {
    /// A reply without records that is not about our own data.
    pub fn failure(code: ResponseCode) -> Self {
        Self {
            code,
            authoritative: false,
            recursion_available: false,
            authentic: false,
            answers: Vec::new(),
            authority: Vec::new(),
            additional: Vec::new(),
        }
    }

    /// Writes the name that was asked for as the question writes it.
    pub fn spell_as(&mut self, asked: &Name) {
        let sections = [&mut self.answers, &mut self.authority, &mut self.additional];
        for record in sections.into_iter().flatten().filter(|record| record.name == *asked) {
            record.name = asked.clone();
        }
    }

    /// Puts the addresses of the answer in random order; everything else keeps its place, so
    /// that a chain of CNAMEs stays in front of what it leads to.
    pub fn shuffle_addresses(&mut self, random: &mut impl Rng) {
        let is_address = |record: &Record| matches!(record.record_type(), RecordType::A | RecordType::AAAA);
        let start = self.answers.iter().position(is_address).unwrap_or(self.answers.len());
        let run = self.answers[start..].iter().take_while(|record| is_address(record)).count();
        self.answers[start..start + run].shuffle(random);
    }
}

/// The reply of another name server: never our own data, and without its OPT.
impl From<Message> for Reply {
    fn from(message: Message) -> Self {
        Self {
            code: message.metadata.response_code,
            authoritative: false,
            recursion_available: message.metadata.recursion_available,
            authentic: message.metadata.authentic_data,
            answers: message.answers,
            authority: message.authorities,
            additional: message.additionals,
        }
    }
}

/// The A or AAAA record of an address.
pub fn address_record(name: &Name, ttl: u32, address: IpAddr) -> Record {
    let data = match address {
        IpAddr::V4(v4) => RData::A(rdata::A(v4)),
        IpAddr::V6(v6) => RData::AAAA(rdata::AAAA(v6)),
    };
    Record::from_rdata(name.clone(), ttl, data)
}
