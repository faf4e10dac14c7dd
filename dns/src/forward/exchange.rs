//! One question to one server: on UDP from a random port, again on TCP when the reply was cut,
//! and again without EDNS for a server that does not know it (RFC 6891 7).
//!
//! Packets that do not answer this very question (identifier and question must match, RFC 5452)
//! are passed over.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use hickory_proto::{
    ProtoError,
    op::{Message, MessageType, ResponseCode},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
    time::{Instant, timeout_at},
};

/// The largest packet that is received. Servers may send more than was asked for.
const RECEIVE_BUFFER: usize = 4096;
/// Where the header has the bit that says that the message was cut (RFC 1035 4.1.1).
const TRUNCATED: (usize, u8) = (2, 0x02);

/// What a server answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) message: Message,
    /// The same as it came.
    pub(super) packet: Vec<u8>,
}

/// Why a server gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// It took too long.
    #[error("timed out")]
    Timeout,
    /// The network says no.
    #[error(transparent)]
    Network(#[from] io::Error),
    /// The question cannot be written.
    #[error("cannot write the question: {0}")]
    Question(#[from] ProtoError),
    /// What came on TCP is no answer to the question.
    #[error("malformed answer")]
    Malformed,
}

/// What came on UDP.
enum Received {
    Whole(Answer),
    Cut,
    /// Not for us.
    Stray,
}

/// The answer of `server` to `message`, at the latest at `until`.
pub(super) async fn exchange(server: SocketAddr, message: &Message, until: Instant) -> Result<Answer, ExchangeError> {
    let answer = async {
        let answer = ask(server, message).await?;
        if message.edns.is_none() || !refuses_edns(&answer.message) {
            return Ok(answer);
        }
        let mut plain = message.clone();
        plain.edns = None;
        ask(server, &plain).await
    };
    timeout_at(until, answer).await.unwrap_or(Err(ExchangeError::Timeout))
}

async fn ask(server: SocketAddr, message: &Message) -> Result<Answer, ExchangeError> {
    let question = message.to_vec()?;
    match on_udp(server, message, &question).await? {
        Some(answer) => Ok(answer),
        None => on_tcp(server, message, &question).await,
    }
}

/// Nothing when the answer was cut.
async fn on_udp(server: SocketAddr, message: &Message, question: &[u8]) -> Result<Option<Answer>, ExchangeError> {
    let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    // Connected: only this server can answer, and a closed port says so at once.
    socket.connect(server).await?;
    socket.send(question).await?;
    loop {
        socket.readable().await?;
        match receive(&socket, message) {
            Ok(Received::Whole(answer)) => return Ok(Some(answer)),
            Ok(Received::Cut) => return Ok(None),
            Ok(Received::Stray) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Takes a packet that is there. Not async, so that a question that waits does not hold a buffer.
fn receive(socket: &UdpSocket, message: &Message) -> io::Result<Received> {
    let mut buffer = [0u8; RECEIVE_BUFFER];
    let length = socket.try_recv(&mut buffer)?;
    let packet = &buffer[..length];
    Ok(match Message::from_vec(packet) {
        Ok(answer) if !answers(&answer, message) => Received::Stray,
        Ok(answer) if answer.metadata.truncation => Received::Cut,
        Ok(answer) => Received::Whole(Answer { message: answer, packet: packet.to_vec() }),
        // Some servers cut in the middle of a record.
        Err(_) if is_cut(packet, message.metadata.id) => Received::Cut,
        Err(_) => Received::Stray,
    })
}

async fn on_tcp(server: SocketAddr, message: &Message, question: &[u8]) -> Result<Answer, ExchangeError> {
    let length = u16::try_from(question.len()).map_err(|_| ExchangeError::Malformed)?;
    let mut stream = TcpStream::connect(server).await?;
    stream.set_nodelay(true)?;
    stream.write_all(&[&length.to_be_bytes(), question].concat()).await?;
    let mut packet = vec![0u8; stream.read_u16().await?.into()];
    stream.read_exact(&mut packet).await?;
    match Message::from_vec(&packet) {
        Ok(answer) if answers(&answer, message) && !answer.metadata.truncation => {
            Ok(Answer { message: answer, packet })
        }
        _ => Err(ExchangeError::Malformed),
    }
}

/// Whether `answer` is one to this very question. A server that cannot read the question may
/// leave it out of its refusal.
fn answers(answer: &Message, message: &Message) -> bool {
    let refused = || matches!(answer.metadata.response_code, ResponseCode::FormErr | ResponseCode::NotImp);
    answer.metadata.message_type == MessageType::Response
        && answer.metadata.id == message.metadata.id
        && (answer.queries == message.queries || answer.queries.is_empty() && refused())
}

/// Whether a server refuses the message because it has never heard of OPT.
fn refuses_edns(answer: &Message) -> bool {
    answer.edns.is_none() && matches!(answer.metadata.response_code, ResponseCode::FormErr | ResponseCode::NotImp)
}

fn is_cut(packet: &[u8], id: u16) -> bool {
    let (place, bit) = TRUNCATED;
    packet.starts_with(&id.to_be_bytes()) && packet.get(place).is_some_and(|flags| flags & bit != 0)
}
