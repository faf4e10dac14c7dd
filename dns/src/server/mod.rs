//! The protocol: every question on UDP and TCP reaches the [`handler::Handler`], every answer
//! goes back to who asked.
//!
//! In: sockets. Out: packets. Each worker is a thread with a runtime and sockets of its own: one
//! socket per core is what scales, and nothing else that the process does can delay an answer.

pub mod clients;
pub mod handler;
mod message;
pub mod sockets;
mod tcp;
mod udp;

use std::{
    io,
    net::IpAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
    time::Duration,
};

use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use self::{
    handler::{Handler, Outcome, Pending},
    message::{Incoming, Transport},
    sockets::Sockets,
};

/// How long a loop rests after the system failed it, so as not to spin.
const PAUSE: Duration = Duration::from_millis(100);

/// What became of a packet.
enum Taken {
    /// Nothing is to be sent.
    Ignored,
    /// The answer is in the buffer.
    Answered,
    /// The answer comes later.
    Waits(Box<Waiting>),
}

/// A message whose answer others know.
struct Waiting {
    incoming: Incoming,
    pending: Pending,
}

/// Starts a worker. It runs until `stop` is cancelled; should it end by a fault, it cancels
/// `stop`. Its end of `alive` is dropped when the sockets are closed.
pub fn spawn_worker(
    number: usize,
    sockets: Sockets,
    handler: Arc<Handler>,
    stop: CancellationToken,
    alive: mpsc::Sender<()>,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    thread::Builder::new().name(format!("dns-{number}")).spawn(move || {
        let stop = stop.drop_guard();
        match runtime.block_on(serve(sockets, &handler, stop.token())) {
            Ok(()) => info!(worker = number, "DNS worker stops"),
            Err(error) => error!(worker = number, %error, "DNS worker failed"),
        }
        drop(runtime);
        drop(alive);
    })?;
    Ok(())
}

async fn serve(sockets: Sockets, handler: &Arc<Handler>, stop: &CancellationToken) -> io::Result<()> {
    let mut loops = JoinSet::new();
    for udp in sockets.udp {
        loops.spawn(udp::serve(tokio::net::UdpSocket::from_std(udp)?, handler.clone()));
    }
    for tcp in sockets.tcp {
        loops.spawn(tcp::serve(tokio::net::TcpListener::from_std(tcp)?, handler.clone()));
    }
    tokio::select! {
        () = stop.cancelled() => Ok(()),
        ended = loops.join_next() => Err(io::Error::other(format!("a loop ended by itself: {ended:?}"))),
    }
}

impl Waiting {
    async fn answer(self: Box<Self>, handler: &Handler, transport: Transport) -> Vec<u8> {
        let Self { incoming, pending } = *self;
        let reply = handler.later(pending).await;
        let mut answer = Vec::new();
        incoming.write(&reply, transport, &mut answer);
        answer
    }
}

/// Handles a packet as far as that needs no waiting, and puts the answer into `buffer`.
///
/// A fault in here costs the one question that met it, not the names of the whole node.
fn take(handler: &Handler, packet: &[u8], client: IpAddr, transport: Transport, buffer: &mut Vec<u8>) -> Taken {
    catch_unwind(AssertUnwindSafe(|| handle(handler, packet, client, transport, buffer))).unwrap_or_else(|_| {
        error!(?packet, "a question could not be handled; please report it");
        Taken::Ignored
    })
}

fn handle(handler: &Handler, packet: &[u8], client: IpAddr, transport: Transport, buffer: &mut Vec<u8>) -> Taken {
    let Some(incoming) = Incoming::read(packet) else { return Taken::Ignored };
    match handler.at_once(&incoming, client) {
        Outcome::Pending(pending) => Taken::Waits(Box::new(Waiting { incoming, pending })),
        Outcome::Reply(reply) => {
            incoming.write(&reply, transport, buffer);
            Taken::Answered
        }
    }
}

async fn pause(what: &str, error: &io::Error) {
    warn!(%error, "{what}; trying again");
    tokio::time::sleep(PAUSE).await;
}

#[cfg(test)]
mod tests;
