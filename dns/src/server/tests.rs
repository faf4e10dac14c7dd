mod damage;
mod tcp;

use std::net::SocketAddr;

use hickory_proto::op::{Edns, Message, MessageType, ResponseCode};
use nodeplane_api::meta::Key;
use tokio::{
    net::{TcpStream, UdpSocket},
    time::timeout,
};
use tokio_util::sync::DropGuard;

use super::{clients::Clients, *};
use crate::{
    config::{Ourselves, Upstreams},
    forward::{
        Forwarder,
        fake::{Upstream, a, read_framed, response, write_framed},
        upstreams::Servers,
    },
    golden::{Golden, Question, lines, owners, query},
    zone::{
        Zone,
        facts::{EndpointFacts, Port, Protocol, ServiceFacts, ServiceKind, SliceFacts},
        snapshot::Snapshot,
    },
};

const PATIENCE: Duration = Duration::from_secs(30);

/// A server on loopback.
struct Running {
    address: SocketAddr,
    ended: mpsc::Receiver<()>,
    stop: DropGuard,
}

fn handler(zone: Zone, upstreams: &[SocketAddr]) -> Handler {
    let servers = Servers::new(&Upstreams::List(upstreams.to_vec()), Ourselves::default());
    Handler::new(Arc::new(arc_swap::ArcSwap::from_pointee(zone)), Forwarder::new(servers), Clients::default())
}

fn start_workers(zone: Zone, upstreams: &[SocketAddr], workers: usize) -> Running {
    let (sockets, addresses) = sockets::bind(&["127.0.0.1:0".parse().unwrap()], workers).unwrap();
    let handler = Arc::new(handler(zone, upstreams));
    let stop = CancellationToken::new();
    let (alive, ended) = mpsc::channel(1);
    for (number, sockets) in sockets.into_iter().enumerate() {
        spawn_worker(number, sockets, handler.clone(), stop.clone(), alive.clone()).unwrap();
    }
    Running { address: addresses[0], ended, stop: stop.drop_guard() }
}

fn start(zone: Zone, upstreams: &[SocketAddr]) -> Running {
    start_workers(zone, upstreams, 1)
}

fn message(text: &str) -> Message {
    let mut message = Message::query();
    message.metadata.recursion_desired = true;
    message.add_query(query(text));
    message
}

fn with_edns(text: &str, payload: u16) -> Message {
    let mut message = message(text);
    let mut edns = Edns::new();
    edns.set_max_payload(payload);
    message.set_edns(edns);
    message
}

impl Running {
    async fn udp(&self) -> UdpSocket {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.connect(self.address).await.unwrap();
        socket
    }

    async fn tcp(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// The bytes that come back for these on UDP.
    async fn packet(&self, packet: &[u8]) -> Vec<u8> {
        let socket = self.udp().await;
        socket.send(packet).await.unwrap();
        received(&socket).await
    }

    async fn ask(&self, message: &Message) -> Message {
        let answer = parsed(&self.packet(&message.to_vec().unwrap()).await);
        assert_eq!(answer.metadata.id, message.metadata.id);
        answer
    }

    async fn ask_tcp(&self, message: &Message) -> Message {
        let mut stream = self.tcp().await;
        write_framed(&mut stream, &message.to_vec().unwrap()).await;
        parsed(&framed_from(&mut stream).await)
    }

    async fn code(&self, message: &Message) -> ResponseCode {
        self.ask(message).await.metadata.response_code
    }
}

async fn received(socket: &UdpSocket) -> Vec<u8> {
    let mut packet = vec![0; 65_535];
    let length = timeout(PATIENCE, socket.recv(&mut packet)).await.expect("no answer").unwrap();
    packet.truncate(length);
    packet
}

async fn framed_from(stream: &mut TcpStream) -> Vec<u8> {
    timeout(PATIENCE, read_framed(stream)).await.expect("no answer")
}

fn parsed(packet: &[u8]) -> Message {
    let message = Message::from_vec(packet).unwrap();
    assert_eq!(message.metadata.message_type, MessageType::Response);
    message
}

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}

/// Addresses come in random order; everything is there all the same.
fn check(at: &str, question: &Question, answer: &Message) {
    assert_eq!(answer.metadata.response_code, question.code(), "{at}");
    assert_eq!(sorted(lines(&answer.answers)), sorted(question.answer.clone()), "{at}");
    assert_eq!(sorted(lines(&answer.additionals)), sorted(question.additional.clone()), "{at}");
    assert_eq!(owners(&answer.authorities), question.authority(), "{at}");
    assert!(answer.metadata.authoritative && !answer.metadata.recursion_available, "{at}");
    assert!(answer.queries[0].name().eq_case(question.query().name()), "{at}");
    assert_eq!(answer.edns.as_ref().unwrap().version(), 0, "{at}");
}

#[tokio::test]
async fn golden_questions_are_answered_on_both_transports() {
    let upstream = Upstream::silent();
    for golden in Golden::all() {
        let server = start(golden.zone(), &[upstream.address]);
        for question in golden.questions.iter().filter(|question| !question.forward && question.chase.is_none()) {
            let at = format!("{}: {}", golden.file, question.ask);
            let message = with_edns(&question.ask, 1232);
            check(&at, question, &server.ask(&message).await);
            check(&at, question, &server.ask_tcp(&message).await);
        }
    }
    assert_eq!(upstream.count(), 0, "a name of the cluster went out");
}

#[tokio::test]
async fn other_names_are_forwarded_once() {
    let upstream = Upstream::with([a("www.example.org.", 60, [192, 0, 2, 1])]);
    let server = start(Golden::of("services").zone(), &[upstream.address]);
    for text in ["www.example.org A", "WWW.example.ORG A"] {
        let answer = server.ask(&message(text)).await;
        assert_eq!(lines(&answer.answers).len(), 1);
        assert!(answer.answers[0].name == *query(text).name());
        assert!(!answer.metadata.authoritative && answer.metadata.recursion_available);
        assert_eq!(answer.edns, None);
    }
    assert_eq!(upstream.count(), 1);
    assert_eq!(lines(&server.ask_tcp(&message("www.example.org A")).await.answers).len(), 1);
}

#[tokio::test]
async fn an_alias_to_the_outside_is_answered_whole() {
    let upstream = Upstream::with([a("db.example.org.", 60, [192, 0, 2, 1])]);
    let server = start(Golden::of("external").zone(), &[upstream.address]);
    let whole = [
        "twice.shop.svc.cluster.local. 5 CNAME outside.shop.svc.cluster.local.",
        "outside.shop.svc.cluster.local. 5 CNAME db.example.org.",
        "db.example.org. 60 A 192.0.2.1",
    ];
    for _ in 0..2 {
        let answer = server.ask(&message("twice.shop.svc.cluster.local A")).await;
        assert_eq!(lines(&answer.answers), whole);
        assert!(answer.metadata.authoritative && answer.metadata.recursion_available);
    }
    assert_eq!(upstream.count(), 1);
    assert_eq!(upstream.asked()[0].1.queries, [query("db.example.org A")]);
}

#[tokio::test]
async fn an_alias_to_a_name_that_does_not_exist_says_so() {
    let upstream = Upstream::start(|_, question| vec![response(question, ResponseCode::NXDomain).to_vec().unwrap()]);
    let server = start(Golden::of("external").zone(), &[upstream.address]);
    let answer = server.ask(&message("outside.shop.svc.cluster.local A")).await;
    assert_eq!(answer.metadata.response_code, ResponseCode::NXDomain);
    assert_eq!(lines(&answer.answers), ["outside.shop.svc.cluster.local. 5 CNAME db.example.org."]);
}

#[tokio::test]
async fn without_a_name_server_other_names_fail() {
    let server = start(Golden::of("services").zone(), &[]);
    assert_eq!(server.code(&message("www.example.org A")).await, ResponseCode::ServFail);
    assert_eq!(server.code(&message("web.shop.svc.cluster.local A")).await, ResponseCode::NoError);
}

/// A headless service whose answer is larger than any UDP packet.
fn large() -> Zone {
    let db = || Key::new("shop", "db");
    let service = ServiceFacts { kind: ServiceKind::Headless, ports: Vec::new() };
    let endpoint = |number: u8| EndpointFacts { addresses: vec![[10, 244, 0, number].into()], hostname: None };
    let slice = SliceFacts {
        ports: vec![Port { name: "sql".into(), protocol: Protocol::Tcp, number: 5432 }],
        endpoints: (0..200).map(endpoint).collect(),
    };
    let snapshot = Snapshot { services: vec![(db(), service)], slices: vec![(db(), slice)], ..Snapshot::default() };
    Zone::build(Golden::of("services").settings(), &snapshot, 1, true)
}

#[tokio::test]
async fn a_large_answer_is_cut_on_udp_and_whole_on_tcp() {
    let server = start(large(), &[]);
    let name = "db.shop.svc.cluster.local A";
    for (question, limit) in [(message(name), 512), (with_edns(name, 800), 800), (with_edns(name, 4096), 1232)] {
        let packet = server.packet(&question.to_vec().unwrap()).await;
        let answer = parsed(&packet);
        assert!(answer.metadata.truncation && packet.len() <= limit && packet.len() > limit - 30);
        assert!(!answer.answers.is_empty());
        assert_eq!(answer.edns.is_some(), question.edns.is_some());
        let whole = server.ask_tcp(&question).await;
        assert_eq!((whole.answers.len(), whole.metadata.truncation), (200, false));
    }
}

#[tokio::test]
async fn addresses_come_in_a_random_order() {
    let server = start(large(), &[]);
    let question = message("db.shop.svc.cluster.local A");
    let (one, other) = (server.ask_tcp(&question).await, server.ask_tcp(&question).await);
    assert_ne!(lines(&one.answers), lines(&other.answers));
    assert_eq!(sorted(lines(&one.answers)), sorted(lines(&other.answers)));
}

#[tokio::test]
async fn workers_share_a_port() {
    let server = start_workers(Golden::of("services").zone(), &[], 3);
    for _ in 0..30 {
        assert_eq!(server.code(&message("web.shop.svc.cluster.local A")).await, ResponseCode::NoError);
    }
}

#[tokio::test]
async fn stopping_closes_the_sockets() {
    let mut server = start(Golden::of("services").zone(), &[]);
    let _open = server.tcp().await;
    assert!(sockets::bind(&[server.address], 1).is_err());
    drop(server.stop);
    assert_eq!(timeout(PATIENCE, server.ended.recv()).await.unwrap(), None);
    sockets::bind(&[server.address], 1).unwrap();
}

#[test]
fn an_address_that_is_not_here_or_taken_is_told() {
    let told = |address: &str| sockets::bind(&[address.parse().unwrap()], 1).err().unwrap().to_string();
    assert!(told("192.0.2.1:5353").ends_with("(the address must be on an interface of this machine first)"));
    let (_sockets, addresses) = sockets::bind(&["127.0.0.1:0".parse().unwrap()], 1).unwrap();
    let taken = told(&addresses[0].to_string());
    assert!(taken.starts_with(&format!("cannot listen at {} on UDP: ", addresses[0])), "{taken}");
    assert!(taken.ends_with("(another server is listening there)"), "{taken}");
}

#[test]
fn strangers_are_refused_whatever_they_ask() {
    let handler = handler(Golden::of("services").zone(), &[]);
    for text in ["web.shop.svc.cluster.local A", "www.example.org A"] {
        let packet = message(text).to_vec().unwrap();
        let mut answer = Vec::new();
        let taken = take(&handler, &packet, [192, 0, 2, 7].into(), Transport::Udp, &mut answer);
        assert!(matches!(taken, Taken::Answered), "{text}");
        let answer = parsed(&answer);
        assert_eq!(answer.metadata.response_code, ResponseCode::Refused, "{text}");
        assert!(answer.answers.is_empty());
    }
}

#[tokio::test]
async fn a_name_server_that_asks_us_again_costs_one_question() {
    let us = Arc::new(std::sync::OnceLock::<SocketAddr>::new());
    let known = us.clone();
    // Hands every question on to us, as a forwarder on the node does whose own server is the cluster's.
    let upstream = Upstream::start(move |_, question| {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(&question.to_vec().unwrap(), known.get().unwrap()).unwrap();
        Vec::new()
    });
    let server = start(Golden::of("services").zone(), &[upstream.address]);
    us.set(server.address).unwrap();
    assert_eq!(server.code(&message("www.example.org A")).await, ResponseCode::ServFail);
    assert_eq!(upstream.count(), 2, "once, and once more because it was silent");
}
