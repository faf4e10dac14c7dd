//! A name server on loopback that does what a test says, on UDP and TCP at one port.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use hickory_proto::{
    op::{Message, ResponseCode},
    rr::{Name, RData, Record, rdata},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
    sync::watch,
    task::JoinSet,
};

use crate::server::sockets;

/// How a question came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Via {
    Udp,
    Tcp,
}

type Script = dyn Fn(Via, &Message) -> Vec<Vec<u8>> + Send + Sync;

/// The server; it ends when it is dropped.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    asked: Arc<Asked>,
    _tasks: JoinSet<()>,
}

struct Asked {
    questions: Mutex<Vec<(Via, Message)>>,
    count: watch::Sender<usize>,
}

impl Upstream {
    /// Starts a server that sends what `script` returns for a question: any number of packets.
    pub(crate) fn start(script: impl Fn(Via, &Message) -> Vec<Vec<u8>> + Send + Sync + 'static) -> Self {
        let script: Arc<Script> = Arc::new(script);
        let (mut sockets, addresses) = sockets::bind(&["127.0.0.1:0".parse().unwrap()], 1).unwrap();
        let sockets = sockets.remove(0);
        let udp = UdpSocket::from_std(sockets.udp.into_iter().next().unwrap()).unwrap();
        let tcp = TcpListener::from_std(sockets.tcp.into_iter().next().unwrap()).unwrap();
        let asked = Arc::new(Asked { questions: Mutex::default(), count: watch::Sender::new(0) });
        let mut tasks = JoinSet::new();
        tasks.spawn(serve_udp(udp, script.clone(), asked.clone()));
        tasks.spawn(serve_tcp(tcp, script, asked.clone()));
        Self { address: addresses[0], asked, _tasks: tasks }
    }

    /// A server that answers every question with these records.
    pub(crate) fn with(records: impl IntoIterator<Item = Record>) -> Self {
        let records: Vec<Record> = records.into_iter().collect();
        Self::start(move |_, question| {
            let mut answer = response(question, ResponseCode::NoError);
            answer.answers.clone_from(&records);
            vec![answer.to_vec().unwrap()]
        })
    }

    /// A server that never answers.
    pub(crate) fn silent() -> Self {
        Self::start(|_, _| Vec::new())
    }

    /// Every question so far.
    pub(crate) fn asked(&self) -> Vec<(Via, Message)> {
        self.asked.questions.lock().unwrap().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.asked().len()
    }

    /// Returns when `count` questions have come.
    pub(crate) async fn until_asked(&self, count: usize) {
        self.asked.count.subscribe().wait_for(|asked| *asked >= count).await.unwrap();
    }
}

impl Asked {
    fn note(&self, via: Via, packet: &[u8]) -> Message {
        let message = Message::from_vec(packet).unwrap();
        self.questions.lock().unwrap().push((via, message.clone()));
        self.count.send_modify(|count| *count += 1);
        message
    }
}

async fn serve_udp(socket: UdpSocket, script: Arc<Script>, asked: Arc<Asked>) {
    let mut packet = [0; 4096];
    while let Ok((length, client)) = socket.recv_from(&mut packet).await {
        let message = asked.note(Via::Udp, &packet[..length]);
        for answer in script(Via::Udp, &message) {
            socket.send_to(&answer, client).await.unwrap();
        }
    }
}

async fn serve_tcp(listener: TcpListener, script: Arc<Script>, asked: Arc<Asked>) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let packet = read_framed(&mut stream).await;
        let message = asked.note(Via::Tcp, &packet);
        for answer in script(Via::Tcp, &message) {
            write_framed(&mut stream, &answer).await;
        }
    }
}

pub(crate) async fn read_framed(stream: &mut TcpStream) -> Vec<u8> {
    let mut packet = vec![0; stream.read_u16().await.unwrap().into()];
    stream.read_exact(&mut packet).await.unwrap();
    packet
}

pub(crate) async fn write_framed(stream: &mut TcpStream, packet: &[u8]) {
    let length = u16::try_from(packet.len()).unwrap().to_be_bytes();
    stream.write_all(&[&length, packet].concat()).await.unwrap();
}

/// An answer to `question` without records.
pub(crate) fn response(question: &Message, code: ResponseCode) -> Message {
    let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
    answer.metadata.response_code = code;
    answer.metadata.recursion_available = true;
    answer.queries.clone_from(&question.queries);
    answer.edns.clone_from(&question.edns);
    answer
}

/// An A record.
pub(crate) fn a(name: &str, ttl: u32, address: [u8; 4]) -> Record {
    Record::from_rdata(Name::from_ascii(name).unwrap(), ttl, RData::A(rdata::A(address.into())))
}

/// A CNAME record.
pub(crate) fn cname(name: &str, ttl: u32, target: &str) -> Record {
    let target = Name::from_ascii(target).unwrap();
    Record::from_rdata(Name::from_ascii(name).unwrap(), ttl, RData::CNAME(rdata::CNAME(target)))
}

/// The SOA record of `example.org`.
pub(crate) fn soa(ttl: u32, minimum: u32) -> Record {
    let name = |text: &str| Name::from_ascii(text).unwrap();
    let data = rdata::SOA::new(name("ns.example.org."), name("admin.example.org."), 1, 2, 3, 4, minimum);
    Record::from_rdata(name("example.org."), ttl, RData::SOA(data))
}
