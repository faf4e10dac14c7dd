use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::{task::JoinSet, time::timeout};

use super::{
    fake::{Upstream, Via, a, response, soa},
    *,
};
use crate::{
    config::{Ourselves, Upstreams},
    golden::{lines, query},
};

const PATIENCE: Duration = Duration::from_secs(30);

fn forwarder(servers: &[SocketAddr]) -> Forwarder {
    Forwarder::new(Servers::new(&Upstreams::List(servers.to_vec()), Ourselves::default()))
}

fn asked(text: &str) -> Forwarded {
    Forwarded { query: query(text), dnssec_ok: false, checking_disabled: false }
}

fn client(number: usize) -> IpAddr {
    [10, 244, 0, u8::try_from(number).unwrap()].into()
}

async fn ask(forwarder: &Forwarder, text: &str) -> Result<Reply, ForwardError> {
    ask_as(0, forwarder, text).await
}

async fn ask_as(number: usize, forwarder: &Forwarder, text: &str) -> Result<Reply, ForwardError> {
    timeout(PATIENCE, forwarder.ask(&asked(text), client(number))).await.expect("no end")
}

fn bytes(message: &Message) -> Vec<u8> {
    message.to_vec().unwrap()
}

/// The answer that the tests look for.
fn good(question: &Message) -> Message {
    let mut answer = response(question, ResponseCode::NoError);
    answer.answers = vec![a("www.example.org.", 60, [192, 0, 2, 1])];
    answer
}

const GOOD: [&str; 1] = ["www.example.org. 60 A 192.0.2.1"];

#[tokio::test]
async fn a_question_is_asked_as_a_resolver_asks() {
    let upstream = Upstream::start(|_, question| vec![bytes(&good(question))]);
    let reply = ask(&forwarder(&[upstream.address]), "wWw.example.org A").await.unwrap();
    assert_eq!(lines(&reply.answers), GOOD);
    assert!(reply.recursion_available && !reply.authoritative);
    let (via, question) = upstream.asked().remove(0);
    assert_eq!(via, Via::Udp);
    assert!(question.metadata.recursion_desired);
    assert_eq!(question.queries[0].name().to_string(), "wWw.example.org.");
    assert_eq!(question.edns.unwrap().max_payload(), 1232);
}

#[tokio::test]
async fn what_is_known_is_not_asked_again() {
    let upstream = Upstream::start(|_, question| {
        if question.queries[0].name().to_string().starts_with("www") {
            return vec![bytes(&good(question))];
        }
        let mut denial = response(question, ResponseCode::NXDomain);
        denial.authorities = vec![soa(60, 30)];
        vec![bytes(&denial)]
    });
    let forwarder = forwarder(&[upstream.address]);
    assert!(forwarder.cached(&asked("www.example.org A")).is_none());
    ask(&forwarder, "www.example.org A").await.unwrap();
    ask(&forwarder, "no.example.org A").await.unwrap();
    assert_eq!(forwarder.cached(&asked("WWW.example.org A")).unwrap().answers[0].name.to_string(), "WWW.example.org.");
    assert_eq!(forwarder.cached(&asked("no.example.org A")).unwrap().code, ResponseCode::NXDomain);
    assert!(forwarder.cached(&asked("www.example.org AAAA")).is_none());
    assert!(forwarder.cached(&Forwarded { dnssec_ok: true, ..asked("www.example.org A") }).is_none());
    assert!(forwarder.cached(&Forwarded { checking_disabled: true, ..asked("www.example.org A") }).is_none());
}

#[tokio::test]
async fn the_bits_for_dnssec_are_handed_on() {
    let upstream = Upstream::start(|_, question| vec![bytes(&good(question))]);
    let question = Forwarded { dnssec_ok: true, checking_disabled: true, ..asked("www.example.org A") };
    forwarder(&[upstream.address]).ask(&question, client(0)).await.unwrap();
    let (_, question) = upstream.asked().remove(0);
    assert!(question.metadata.checking_disabled && question.edns.unwrap().flags().dnssec_ok);
}

#[tokio::test]
async fn packets_that_answer_something_else_are_passed_over() {
    let upstream = Upstream::start(|_, question| {
        let mut other_id = good(question);
        other_id.metadata.id = question.metadata.id.wrapping_add(1);
        other_id.answers = vec![a("www.example.org.", 60, [203, 0, 113, 66])];
        let mut other_name = good(question);
        other_name.queries = vec![query("evil.example.org A")];
        other_name.answers.clone_from(&other_id.answers);
        let mut unasked = good(question);
        unasked.queries.clear();
        unasked.answers.clone_from(&other_id.answers);
        let strays = [&other_id, &other_name, &unasked, question].map(bytes);
        [vec![Vec::new(), b"garbage".to_vec()], strays.to_vec(), vec![bytes(&good(question))]].concat()
    });
    let reply = ask(&forwarder(&[upstream.address]), "www.example.org A").await.unwrap();
    assert_eq!(lines(&reply.answers), GOOD);
    assert_eq!(upstream.count(), 1);
}

#[tokio::test]
async fn an_answer_that_was_cut_is_fetched_on_tcp() {
    // One cuts between records, the other inside of one.
    for drop_bytes in [0, 7] {
        let upstream = Upstream::start(move |via, question| {
            let mut answer = good(question);
            answer.metadata.truncation = via == Via::Udp;
            let mut packet = bytes(&answer);
            if via == Via::Udp {
                packet.truncate(packet.len() - drop_bytes);
            }
            vec![packet]
        });
        let reply = ask(&forwarder(&[upstream.address]), "www.example.org A").await.unwrap();
        assert_eq!(lines(&reply.answers), GOOD);
        assert_eq!(upstream.asked().iter().map(|(via, _)| *via).collect::<Vec<_>>(), [Via::Udp, Via::Tcp]);
    }
}

#[tokio::test]
async fn a_server_without_edns_is_asked_without_it() {
    let upstream = Upstream::start(|_, question| {
        if question.edns.is_none() {
            return vec![bytes(&good(question))];
        }
        let mut refusal = response(question, ResponseCode::FormErr);
        refusal.queries.clear();
        refusal.edns = None;
        vec![bytes(&refusal)]
    });
    let reply = ask(&forwarder(&[upstream.address]), "www.example.org A").await.unwrap();
    assert_eq!(lines(&reply.answers), GOOD);
}

#[tokio::test]
async fn a_silent_server_is_passed_by_and_then_left_alone() {
    let (silent, other) = (Upstream::silent(), Upstream::start(|_, question| vec![bytes(&good(question))]));
    let forwarder = forwarder(&[silent.address, other.address]);
    ask(&forwarder, "www.example.org A").await.unwrap();
    assert_eq!((silent.count(), other.count()), (1, 1));
    ask(&forwarder, "www.example.org AAAA").await.unwrap();
    assert_eq!((silent.count(), other.count()), (1, 2));
}

#[tokio::test]
async fn a_question_that_was_lost_is_asked_again() {
    let lost = AtomicUsize::new(1);
    let upstream = Upstream::start(move |_, question| {
        match lost.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)) {
            Ok(_) => Vec::new(),
            Err(_) => vec![bytes(&good(question))],
        }
    });
    let reply = ask(&forwarder(&[upstream.address]), "www.example.org A").await.unwrap();
    assert_eq!((lines(&reply.answers).len(), upstream.count()), (1, 2));
}

#[tokio::test]
async fn silence_of_all_is_a_failure_within_the_time_of_a_client() {
    let upstream = Upstream::silent();
    let start = Instant::now();
    let error = ask(&forwarder(&[upstream.address]), "www.example.org A").await.unwrap_err();
    assert_eq!(
        (error.to_string(), error.code()),
        ("no name server answered: timed out".to_owned(), ResponseCode::ServFail)
    );
    assert_eq!(upstream.count(), ATTEMPTS);
    assert!(start.elapsed() >= SERVER_TIMEOUT);
}

#[tokio::test]
async fn a_server_that_fails_hands_on_to_the_next() {
    for code in [ResponseCode::ServFail, ResponseCode::Refused] {
        let failing = Upstream::start(move |_, question| vec![bytes(&response(question, code))]);
        // Bound, so that nobody else gets the port, and closed to all but one.
        let reserved = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        reserved.connect(failing.address).unwrap();
        let closed = reserved.local_addr().unwrap();
        let good = Upstream::start(|_, question| vec![bytes(&good(question))]);
        let reply = ask(&forwarder(&[closed, failing.address, good.address]), "www.example.org A").await.unwrap();
        assert_eq!(lines(&reply.answers), GOOD);
        // When all fail, what one of them said is the answer, and it is not kept.
        let forwarder = forwarder(&[failing.address, closed]);
        assert_eq!(ask(&forwarder, "www.example.org A").await.unwrap().code, code);
        assert!(forwarder.cached(&asked("www.example.org A")).is_none());
    }
}

#[tokio::test]
async fn with_nobody_to_ask_it_fails_at_once() {
    let error = ask(&forwarder(&[]), "www.example.org A").await.unwrap_err();
    assert!(matches!(error, ForwardError::NoServer));
    assert_eq!(error.code(), ResponseCode::ServFail);
}

#[tokio::test]
async fn too_many_waiting_questions_are_refused() {
    let upstream = Upstream::silent();
    let forwarder = Arc::new(forwarder(&[upstream.address]));
    let mut waiting = JoinSet::new();
    for number in 0..MAX_WAITING {
        let forwarder = forwarder.clone();
        let client = client(number / MAX_WAITING_EACH + 1);
        waiting.spawn(async move { forwarder.ask(&asked(&format!("n{number}.example.org A")), client).await });
    }
    timeout(PATIENCE, upstream.until_asked(MAX_WAITING)).await.unwrap();
    let error = ask(&forwarder, "www.example.org A").await.unwrap_err();
    assert!(matches!(error, ForwardError::Busy));
    assert_eq!(error.code(), ResponseCode::Refused);
    // The places of those that ended are free again.
    waiting.shutdown().await;
    assert!(!matches!(ask(&forwarder, "www.example.org A").await, Err(ForwardError::Busy)));
}

#[tokio::test]
async fn one_client_cannot_take_all_places() {
    let upstream = Upstream::start(|_, question| {
        let is_wanted = question.queries[0].name().to_string().starts_with("www");
        is_wanted.then(|| bytes(&good(question))).into_iter().collect()
    });
    let forwarder = Arc::new(forwarder(&[upstream.address]));
    let mut waiting = JoinSet::new();
    for number in 0..MAX_WAITING {
        let forwarder = forwarder.clone();
        waiting.spawn(async move { forwarder.ask(&asked(&format!("n{number}.example.org A")), client(1)).await });
    }
    for _ in 0..MAX_WAITING - MAX_WAITING_EACH {
        let ended = timeout(PATIENCE, waiting.join_next()).await.unwrap().unwrap().unwrap();
        assert!(matches!(ended, Err(ForwardError::ClientBusy)), "{ended:?}");
    }
    assert_eq!(ask_as(1, &forwarder, "www.example.org A").await.unwrap_err().code(), ResponseCode::Refused);
    assert_eq!(lines(&ask_as(2, &forwarder, "www.example.org A").await.unwrap().answers), GOOD);
}

#[tokio::test]
async fn equal_questions_in_flight_are_asked_once() {
    // An answer that may not be kept, so that it is the question itself that is shared.
    let upstream = Upstream::start(|_, question| {
        let mut answer = good(question);
        answer.answers[0].ttl = 0;
        // Long enough for everybody to have asked.
        std::thread::sleep(Duration::from_millis(50));
        vec![bytes(&answer)]
    });
    let forwarder = forwarder(&[upstream.address]);
    let (one, other, third) = tokio::join!(
        ask_as(1, &forwarder, "www.example.org A"),
        ask_as(2, &forwarder, "WWW.example.org A"),
        ask_as(3, &forwarder, "www.example.org AAAA"),
    );
    assert!(third.is_ok());
    assert_eq!(one.unwrap().answers[0].name.to_string(), "www.example.org.");
    assert_eq!(other.unwrap().answers[0].name.to_string(), "WWW.example.org.");
    assert_eq!(upstream.count(), 2);
}

#[tokio::test]
async fn a_client_that_gives_up_leaves_its_question_to_those_who_wait() {
    let silent_first = AtomicUsize::new(1);
    let upstream = Upstream::start(move |_, question| {
        match silent_first.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)) {
            Ok(_) => Vec::new(),
            Err(_) => vec![bytes(&good(question))],
        }
    });
    let forwarder = Arc::new(forwarder(&[upstream.address]));
    let mut leader = JoinSet::new();
    let leading = forwarder.clone();
    leader.spawn(async move { leading.ask(&asked("www.example.org A"), client(1)).await });
    timeout(PATIENCE, upstream.until_asked(1)).await.unwrap();
    let waits = forwarder.clone();
    let waiting = tokio::spawn(async move { ask_as(2, &waits, "www.example.org A").await });
    tokio::task::yield_now().await;
    leader.shutdown().await;
    assert_eq!(lines(&waiting.await.unwrap().unwrap().answers), GOOD);
}
