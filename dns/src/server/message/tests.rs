use hickory_proto::rr::{Name, RData, rdata};
use proptest::{collection::vec, prelude::*};

use super::*;
use crate::golden::query;

fn incoming(payload: Option<u16>) -> Incoming {
    let mut message = Message::query();
    message.add_query(query("web.shop.svc.cluster.local A"));
    if let Some(payload) = payload {
        let mut edns = Edns::new();
        edns.set_max_payload(payload).set_dnssec_ok(true);
        message.set_edns(edns);
    }
    Incoming::read(&message.to_vec().unwrap()).unwrap()
}

fn record() -> impl Strategy<Value = Record> {
    let data = prop_oneof![
        any::<[u8; 4]>().prop_map(|octets| RData::A(rdata::A(octets.into()))),
        any::<[u8; 16]>().prop_map(|octets| RData::AAAA(rdata::AAAA(octets.into()))),
        "[a-z]{1,60}".prop_map(|text| RData::TXT(rdata::TXT::new(vec![text]))),
        name().prop_map(|name| RData::CNAME(rdata::CNAME(name))),
        name().prop_map(|name| RData::SRV(rdata::SRV::new(1, 2, 3, name))),
    ];
    (name(), any::<u32>(), data).prop_map(|(name, ttl, data)| Record::from_rdata(name, ttl, data))
}

fn name() -> impl Strategy<Value = Name> {
    "([a-zA-Z0-9]{1,20}\\.){1,6}".prop_map(|text| Name::from_ascii(text).unwrap())
}

fn reply() -> impl Strategy<Value = Reply> {
    (vec(record(), 0..40), vec(record(), 0..5), vec(record(), 0..20)).prop_map(|(answers, authority, additional)| {
        Reply { answers, authority, additional, ..Reply::failure(ResponseCode::NoError) }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn an_answer_fits_and_says_what_is_missing(
        reply in reply(),
        payload in proptest::option::of(0..5000u16),
        tcp in any::<bool>(),
    ) {
        let transport = if tcp { Transport::Tcp } else { Transport::Udp };
        let mut packet = b"something from before".to_vec();
        incoming(payload).write(&reply, transport, &mut packet);
        let limit = match payload {
            _ if tcp => u16::MAX,
            None => 512,
            Some(payload) => payload.clamp(512, UDP_PAYLOAD),
        };
        prop_assert!(packet.len() <= limit.into());
        let answer = Message::from_vec(&packet).unwrap();
        prop_assert_eq!(answer.edns.is_some(), payload.is_some());
        prop_assert!(answer.edns.is_none_or(|edns| edns.flags().dnssec_ok));
        prop_assert!(reply.answers.starts_with(&answer.answers));
        if answer.metadata.truncation {
            prop_assert!(answer.authorities.is_empty() && answer.additionals.is_empty());
        } else {
            prop_assert_eq!((&answer.answers, &answer.authorities), (&reply.answers, &reply.authority));
            prop_assert!(answer.additionals.is_empty() || answer.additionals == reply.additional);
        }
        if tcp {
            prop_assert_eq!(answer.additionals, reply.additional);
        }
    }

    #[test]
    fn a_cut_answer_has_as_much_as_fits(count in 30..200usize, edns in any::<bool>()) {
        let record = Record::from_rdata(
            query("web.shop.svc.cluster.local A").name().clone(),
            5,
            RData::A(rdata::A([10, 0, 0, 1].into())),
        );
        let reply = Reply { answers: vec![record; count], ..Reply::failure(ResponseCode::NoError) };
        let mut packet = Vec::new();
        incoming(edns.then_some(512)).write(&reply, Transport::Udp, &mut packet);
        let answer = Message::from_vec(&packet).unwrap();
        // A record with a pointer for its name takes 16 bytes.
        let whole = packet.len() + 16 * (count - answer.answers.len());
        prop_assert_eq!(answer.metadata.truncation, whole > 512);
        // The encoder wants room for the whole name first.
        prop_assert!(!answer.metadata.truncation || packet.len() + 16 + 30 > 512);
    }
}

#[test]
fn additional_records_are_left_out_silently() {
    let name = || query("db.shop.svc.cluster.local A").name().clone();
    let address = |number| Record::from_rdata(name(), 5, RData::A(rdata::A([10, 0, 0, number].into())));
    let reply = Reply {
        answers: vec![address(0)],
        additional: (1..100).map(address).collect(),
        ..Reply::failure(ResponseCode::NoError)
    };
    let mut packet = Vec::new();
    incoming(None).write(&reply, Transport::Udp, &mut packet);
    let answer = Message::from_vec(&packet).unwrap();
    assert_eq!((answer.answers.len(), answer.additionals.len(), answer.metadata.truncation), (1, 0, false));
}

#[test]
fn a_record_that_cannot_be_written_is_a_failure() {
    let text = "x".repeat(300);
    let record = Record::from_rdata(Name::root(), 5, RData::TXT(rdata::TXT::new(vec![text])));
    let reply = Reply { answers: vec![record], ..Reply::failure(ResponseCode::NoError) };
    let mut packet = Vec::new();
    incoming(Some(1232)).write(&reply, Transport::Udp, &mut packet);
    let answer = Message::from_vec(&packet).unwrap();
    assert_eq!((answer.metadata.response_code, answer.answers.len()), (ResponseCode::ServFail, 0));
}
