//! Questions on TCP (RFC 7766): many on one connection, answered as soon as each can be, in
//! whatever order. Bounded in connections, of all clients and of each, in answers that a client leaves unread, and in the
//! time that it may stay silent.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::timeout,
};
use tracing::debug;

use super::{Taken, handler::Handler, message::Transport::Tcp, pause, take};
use crate::shares::Shares;

/// How long a client may take for its next question, and for reading an answer.
const IDLE: Duration = Duration::from_secs(10);
/// How many connections one listener has; more wait to be accepted.
pub(super) const MAX_CONNECTIONS: usize = 128;
/// How many of them one client may have; a further one is closed. A client needs one, and a machine
/// with many processes a few.
pub(super) const MAX_CONNECTIONS_EACH: usize = 16;
/// How many questions of one connection may be without an answer.
const MAX_PIPELINED: usize = 32;
/// Most questions fit, so that one read takes the length and the question.
const READ_BUFFER: usize = 512;

/// Accepts connections for ever.
pub(super) async fn serve(listener: TcpListener, handler: Arc<Handler>) {
    let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let shares = Shares::new(MAX_CONNECTIONS_EACH);
    // The semaphore is never closed.
    while let Ok(slot) = connections.clone().acquire_owned().await {
        match listener.accept().await {
            Ok((stream, client)) => admit(stream, client, slot, &shares, &handler),
            Err(error) => pause("cannot accept on TCP", &error).await,
        }
    }
}

/// Lets a connection be served if its client may ask and has not too many already; else it is
/// closed at once.
fn admit(stream: TcpStream, client: SocketAddr, slot: OwnedSemaphorePermit, shares: &Shares, handler: &Arc<Handler>) {
    let may_ask = handler.serves(client.ip());
    let Some(share) = may_ask.then(|| shares.take(client.ip())).flatten() else {
        debug!(%client, may_ask, "connection refused");
        return;
    };
    let handler = handler.clone();
    tokio::spawn(async move {
        if let Err(error) = converse(stream, client.ip(), &handler).await {
            debug!(%client, %error, "connection ended");
        }
        drop((share, slot));
    });
}

/// Answers the questions of one connection until the client closes it.
async fn converse(mut stream: TcpStream, client: IpAddr, handler: &Arc<Handler>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (reader, writer) = stream.split();
    let (answers, queue) = mpsc::channel(MAX_PIPELINED);
    tokio::try_join!(read(reader, client, handler, answers), write(writer, queue)).map(drop)
}

async fn read(
    reader: impl AsyncRead + Unpin,
    client: IpAddr,
    handler: &Arc<Handler>,
    answers: mpsc::Sender<Vec<u8>>,
) -> io::Result<()> {
    let mut reader = BufReader::with_capacity(READ_BUFFER, reader);
    let mut answer = Vec::new();
    while let Some(packet) = timeout(IDLE, next(&mut reader)).await?? {
        let Ok(slot) = answers.clone().reserve_owned().await else { return Ok(()) };
        match take(handler, &packet, client, Tcp, &mut answer) {
            Taken::Ignored => {}
            Taken::Answered => drop(slot.send(framed(&answer))),
            Taken::Waits(waiting) => {
                let handler = handler.clone();
                tokio::spawn(async move {
                    slot.send(framed(&waiting.answer(&handler, Tcp).await));
                });
            }
        }
    }
    Ok(())
}

/// The next question; nothing when the client has closed the connection.
async fn next(reader: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Vec<u8>>> {
    let length = match reader.read_u16().await {
        Ok(length) => length,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut packet = vec![0; length.into()];
    reader.read_exact(&mut packet).await?;
    Ok(Some(packet))
}

async fn write(mut writer: impl AsyncWrite + Unpin, mut queue: mpsc::Receiver<Vec<u8>>) -> io::Result<()> {
    while let Some(answer) = queue.recv().await {
        timeout(IDLE, writer.write_all(&answer)).await??;
    }
    Ok(())
}

/// A message with its length in front (RFC 1035 4.2.2).
fn framed(message: &[u8]) -> Vec<u8> {
    // No message is written that is longer.
    let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
    [&length.to_be_bytes(), message].concat()
}
