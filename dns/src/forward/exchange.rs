//! One question to one server: on UDP from a random port, again on TCP when the reply was cut.
//!
//! Packets that do not answer this very question (identifier and question must match, RFC 5452)
//! are passed over.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use hickory_proto::{
    ProtoError,
    op::{Message, MessageType},
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
    Question(ProtoError),
    /// What came on TCP is no answer to the question.
    #[error("malformed answer")]
    Malformed,
}

/// What came on UDP.
enum Received {
    Whole(Message),
    Cut,
}

/// The answer of `server` to `message`, at the latest at `until`.
pub(super) async fn exchange(server: SocketAddr, message: &Message, until: Instant) -> Result<Message, ExchangeError> {
    let question = message.to_vec().map_err(ExchangeError::Question)?;
    let answer = async {
        match on_udp(server, message, &question).await? {
            Received::Whole(answer) => Ok(answer),
            Received::Cut => on_tcp(server, message, &question).await,
        }
    };
    timeout_at(until, answer).await.unwrap_or(Err(ExchangeError::Timeout))
}

async fn on_udp(server: SocketAddr, message: &Message, question: &[u8]) -> Result<Received, ExchangeError> {
    let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    // Connected: only this server can answer, and a closed port says so at once.
    socket.connect(server).await?;
    socket.send(question).await?;
    let mut buffer = [0u8; RECEIVE_BUFFER];
    loop {
        let length = socket.recv(&mut buffer).await?;
        let packet = &buffer[..length];
        match Message::from_vec(packet) {
            Ok(answer) if !answers(&answer, message) => {}
            Ok(answer) if answer.metadata.truncation => return Ok(Received::Cut),
            Ok(answer) => return Ok(Received::Whole(answer)),
            // Some servers cut in the middle of a record.
            Err(_) if is_cut(packet, message.metadata.id) => return Ok(Received::Cut),
            Err(_) => {}
        }
    }
}

async fn on_tcp(server: SocketAddr, message: &Message, question: &[u8]) -> Result<Message, ExchangeError> {
    let length = u16::try_from(question.len()).map_err(|_| ExchangeError::Malformed)?;
    let mut stream = TcpStream::connect(server).await?;
    stream.set_nodelay(true)?;
    stream.write_all(&[&length.to_be_bytes(), question].concat()).await?;
    let mut length = [0u8; 2];
    stream.read_exact(&mut length).await?;
    let mut packet = vec![0u8; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut packet).await?;
    Message::from_vec(&packet)
        .ok()
        .filter(|answer| answers(answer, message) && !answer.metadata.truncation)
        .ok_or(ExchangeError::Malformed)
}

/// Whether `answer` is one to this very question.
fn answers(answer: &Message, message: &Message) -> bool {
    answer.metadata.message_type == MessageType::Response
        && answer.metadata.id == message.metadata.id
        && answer.queries == message.queries
}

fn is_cut(packet: &[u8], id: u16) -> bool {
    let (place, bit) = TRUNCATED;
    packet.starts_with(&id.to_be_bytes()) && packet.get(place).is_some_and(|flags| flags & bit != 0)
}
