use std::time::Duration;

use hickory_proto::op::{Message, ResponseCode};
use tokio::{net::UdpSocket, time::timeout};

use super::*;
use crate::{
    config::Upstreams,
    golden::{lines, query},
    observe::fake::{Fake, service},
};

const PATIENCE: Duration = Duration::from_secs(30);

fn config() -> Config {
    Config {
        listen: vec!["127.0.0.1:0".parse().unwrap(), "127.0.0.1:0".parse().unwrap()],
        upstreams: Upstreams::List(Vec::new()),
        ..Config::default()
    }
}

async fn ask(server: SocketAddr, text: &str) -> Message {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(server).await.unwrap();
    let mut question = Message::query();
    question.add_query(query(text));
    socket.send(&question.to_vec().unwrap()).await.unwrap();
    let mut packet = [0; 1500];
    let length = timeout(PATIENCE, socket.recv(&mut packet)).await.expect("no answer").unwrap();
    Message::from_vec(&packet[..length]).unwrap()
}

#[tokio::test]
async fn it_answers_at_every_address_and_says_when_it_knows_everything() {
    let fake = Fake::new();
    fake.put(service("shop", "web", "10.96.0.1"));
    fake.hold("services");
    let dns = Dns::start(&config(), &fake.client()).unwrap();
    assert!(!dns.is_ready());
    let web = "web.shop.svc.cluster.local A";
    assert_eq!(ask(dns.addresses()[0], web).await.metadata.response_code, ResponseCode::ServFail);
    fake.hold("nothing");
    assert!(timeout(PATIENCE, dns.ready()).await.unwrap() && dns.is_ready());
    for address in dns.addresses() {
        assert_eq!(lines(&ask(*address, web).await.answers), ["web.shop.svc.cluster.local. 5 A 10.96.0.1"]);
    }
    assert_eq!(dns.zone().load().len(), 1);
}

#[tokio::test]
async fn shutdown_and_drop_free_the_addresses() {
    let fake = Fake::new();
    let dns = Dns::start(&config(), &fake.client()).unwrap();
    let addresses = dns.addresses().to_vec();
    let again = Config { listen: addresses.clone(), ..config() };
    let taken = Dns::start(&again, &fake.client()).err().unwrap();
    assert!(matches!(taken, StartError::Bind(_)), "{taken}");
    timeout(PATIENCE, dns.shutdown()).await.unwrap();
    drop(Dns::start(&again, &fake.client()).unwrap());
    // The workers of the dropped one end by themselves.
    let start = async {
        while Dns::start(&again, &fake.client()).is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, start).await.unwrap();
}

#[tokio::test]
async fn a_configuration_that_cannot_be_is_refused() {
    let wrong = Config { listen: Vec::new(), ..config() };
    assert_eq!(Dns::start(&wrong, &Fake::new().client()).err().unwrap().to_string(), "no address to listen at");
}
