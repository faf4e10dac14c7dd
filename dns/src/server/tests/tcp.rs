//! Connections: many questions on one, and clients that misbehave.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::server::tcp::{MAX_CONNECTIONS, MAX_CONNECTIONS_EACH};

/// A connection of another client on this machine.
async fn from(client: usize, server: &Running) -> TcpStream {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, u8::try_from(client).unwrap()], 0))).unwrap();
    socket.connect(server.address).await.unwrap()
}

#[tokio::test]
async fn a_connection_carries_many_questions() {
    let server = start(Golden::of("services").zone(), &[]);
    let mut stream = server.tcp().await;
    let questions: Vec<Message> = (0..50).map(|_| message("web.shop.svc.cluster.local A")).collect();
    for question in &questions[..10] {
        write_framed(&mut stream, &question.to_vec().unwrap()).await;
        assert_eq!(parsed(&framed_from(&mut stream).await).metadata.id, question.metadata.id);
    }
    // Without waiting for answers, and then saying that no more will come.
    for question in &questions[10..] {
        write_framed(&mut stream, &question.to_vec().unwrap()).await;
    }
    stream.shutdown().await.unwrap();
    let mut answered = Vec::new();
    for _ in &questions[10..] {
        answered.push(parsed(&framed_from(&mut stream).await).metadata.id);
    }
    answered.sort_unstable();
    let mut asked: Vec<u16> = questions[10..].iter().map(|question| question.metadata.id).collect();
    asked.sort_unstable();
    assert_eq!(answered, asked);
    assert_eq!(timeout(PATIENCE, stream.read(&mut [0])).await.unwrap().unwrap(), 0, "closed");
}

#[tokio::test]
async fn a_slow_answer_keeps_no_other_one_back() {
    let upstream = Upstream::silent();
    let server = start(Golden::of("services").zone(), &[upstream.address]);
    let (slow, quick) = (message("www.example.org A"), message("web.shop.svc.cluster.local A"));
    let mut stream = server.tcp().await;
    for question in [&slow, &quick] {
        write_framed(&mut stream, &question.to_vec().unwrap()).await;
    }
    assert_eq!(parsed(&framed_from(&mut stream).await).metadata.id, quick.metadata.id);
    let failed = parsed(&framed_from(&mut stream).await);
    assert_eq!((failed.metadata.id, failed.metadata.response_code), (slow.metadata.id, ResponseCode::ServFail));
}

#[tokio::test]
async fn a_client_that_goes_away_harms_nobody() {
    let server = start(Golden::of("services").zone(), &[]);
    let question = message("web.shop.svc.cluster.local A");
    let packet = question.to_vec().unwrap();
    for part in [&[0][..], &[0, 200, 1, 2], &[]] {
        let mut stream = server.tcp().await;
        stream.write_all(part).await.unwrap();
    }
    let mut stream = server.tcp().await;
    write_framed(&mut stream, &packet).await;
    drop(stream);
    assert_eq!(server.ask_tcp(&question).await.metadata.response_code, ResponseCode::NoError);
}

#[tokio::test]
async fn more_connections_than_places_wait_for_one() {
    let server = start(Golden::of("services").zone(), &[]);
    let question = message("web.shop.svc.cluster.local A");
    let mut held = Vec::new();
    for number in 0..MAX_CONNECTIONS {
        let mut stream = from(number / MAX_CONNECTIONS_EACH + 2, &server).await;
        write_framed(&mut stream, &question.to_vec().unwrap()).await;
        framed_from(&mut stream).await;
        held.push(stream);
    }
    let mut late = server.tcp().await;
    write_framed(&mut late, &question.to_vec().unwrap()).await;
    let waits = timeout(Duration::from_millis(100), late.readable()).await;
    assert!(waits.is_err(), "was served beyond the bound");
    held.pop();
    assert_eq!(parsed(&framed_from(&mut late).await).metadata.response_code, ResponseCode::NoError);
}

#[tokio::test]
async fn one_client_cannot_take_all_connections() {
    let server = start(Golden::of("services").zone(), &[]);
    let question = message("web.shop.svc.cluster.local A");
    let mut held = Vec::new();
    for _ in 0..MAX_CONNECTIONS_EACH {
        let mut stream = server.tcp().await;
        write_framed(&mut stream, &question.to_vec().unwrap()).await;
        framed_from(&mut stream).await;
        held.push(stream);
    }
    let mut beyond = server.tcp().await;
    let closed = timeout(PATIENCE, beyond.read(&mut [0])).await.expect("left open");
    assert!(matches!(closed, Ok(0) | Err(_)), "{closed:?}");
    let mut other = from(9, &server).await;
    write_framed(&mut other, &question.to_vec().unwrap()).await;
    assert_eq!(parsed(&framed_from(&mut other).await).metadata.response_code, ResponseCode::NoError);
}
