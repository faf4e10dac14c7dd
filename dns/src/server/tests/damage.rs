//! Messages that make no sense, and bytes that are none.

use hickory_proto::{
    op::{MessageType, OpCode},
    rr::{DNSClass, RecordType},
};
use proptest::{collection::vec, prelude::*, sample::Index};

use super::*;

#[tokio::test]
async fn messages_that_make_no_sense_are_refused() {
    let server = start(Golden::of("services").zone(), &[]);
    let good = || message("web.shop.svc.cluster.local A");

    let mut unknown = good();
    unknown.metadata.op_code = OpCode::Unknown(3);
    assert_eq!(server.code(&unknown).await, ResponseCode::NotImp);
    for op_code in [OpCode::Status, OpCode::Notify] {
        let mut other = good();
        other.metadata.op_code = op_code;
        assert_eq!(server.code(&other).await, ResponseCode::NotImp);
    }

    let mut chaos = good();
    chaos.queries[0].set_query_class(DNSClass::CH);
    assert_eq!(server.code(&chaos).await, ResponseCode::Refused);
    for transfer in [RecordType::AXFR, RecordType::IXFR] {
        let mut whole = good();
        whole.queries[0].set_query_type(transfer);
        assert_eq!(server.ask_tcp(&whole).await.metadata.response_code, ResponseCode::Refused);
    }

    let mut two = good();
    two.add_query(query("plain.shop.svc.cluster.local A"));
    assert_eq!(server.code(&two).await, ResponseCode::FormErr);
    let mut none = good();
    none.queries.clear();
    assert_eq!(server.code(&none).await, ResponseCode::FormErr);

    let mut later = with_edns("web.shop.svc.cluster.local A", 1232);
    later.edns.as_mut().unwrap().set_version(1);
    let answer = server.ask(&later).await;
    // The code is that of BADSIG, which is about signatures.
    let code = u16::from(answer.metadata.response_code);
    assert_eq!((code, answer.edns.unwrap().version()), (ResponseCode::BADVERS.into(), 0));
}

#[tokio::test]
async fn a_malformed_packet_is_a_format_error() {
    let server = start(Golden::of("services").zone(), &[]);
    let good = message("web.shop.svc.cluster.local A").to_vec().unwrap();
    // A name that points to itself.
    let circle = [&good[..12], &[0xc0, 12, 0, 1, 0, 1]].concat();
    for packet in [&good[..good.len() - 1], &circle[..]] {
        let answer = server.packet(packet).await;
        assert_eq!((&answer[..2], answer[3] & 0x0f), (&good[..2], ResponseCode::FormErr.low()));
        assert_eq!(answer.len(), 12, "only a header");
    }
}

#[tokio::test]
async fn what_is_no_question_is_not_answered() {
    let server = start(Golden::of("services").zone(), &[]);
    let socket = server.udp().await;
    let good = message("web.shop.svc.cluster.local A");
    let mut reply = message("web.shop.svc.cluster.local A");
    reply.metadata.message_type = MessageType::Response;
    let reply = reply.to_vec().unwrap();
    for noise in [&b""[..], b"short", &reply, &reply[..reply.len() - 1]] {
        socket.send(noise).await.unwrap();
    }
    socket.send(&good.to_vec().unwrap()).await.unwrap();
    assert_eq!(parsed(&received(&socket).await).metadata.id, good.metadata.id);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_can_harm(packet in vec(any::<u8>(), 0..300)) {
        survives(&packet);
    }

    #[test]
    fn no_damage_to_a_question_can_harm(
        ask in any::<Index>(),
        edns in any::<bool>(),
        damage in vec((any::<Index>(), any::<u8>()), 0..6),
        cut in any::<Index>(),
    ) {
        let golden = Golden::of("headless");
        let text = &ask.get(&golden.questions).ask;
        let mut packet = if edns { with_edns(text, 4096) } else { message(text) }.to_vec().unwrap();
        for (place, byte) in damage {
            let place = place.index(packet.len());
            packet[place] ^= byte;
        }
        survives(&packet);
        packet.truncate(cut.index(packet.len()));
        survives(&packet);
    }
}

/// Handles a packet and checks what every answer must be like.
fn survives(packet: &[u8]) {
    thread_local! {
        static HANDLER: Handler = handler(Golden::of("headless").zone(), &[]);
    }
    let mut buffer = Vec::new();
    let taken = HANDLER
        .with(|handler| handle(handler, packet, std::net::Ipv4Addr::LOCALHOST.into(), Transport::Udp, &mut buffer));
    if matches!(taken, Taken::Answered) {
        let answer = parsed(&buffer);
        assert_eq!(buffer[..2], packet[..2]);
        assert!(buffer.len() <= 1232);
        assert!(answer.metadata.response_code != ResponseCode::NoError || answer.queries.len() == 1);
    }
}
