//! Questions on UDP: one loop for each socket. Answers that need no waiting are sent from the
//! loop itself, through buffers that it keeps; only questions to others become tasks.

use std::{io, net::SocketAddr, sync::Arc};

use tokio::net::UdpSocket;
use tracing::debug;

use super::{Taken, handler::Handler, message::Transport::Udp, pause, take};

/// The largest question, in bytes. What is longer arrives cut, and is malformed.
const MAX_QUESTION: usize = 4096;

/// Answers questions for ever.
pub(super) async fn serve(socket: UdpSocket, handler: Arc<Handler>) {
    let socket = Arc::new(socket);
    let mut packet = vec![0; MAX_QUESTION];
    let mut answer = Vec::new();
    loop {
        let (length, client) = match socket.recv_from(&mut packet).await {
            Ok(received) => received,
            Err(error) => {
                pause("cannot receive on UDP", &error).await;
                continue;
            }
        };
        match take(&handler, &packet[..length], client.ip(), Udp, &mut answer) {
            Taken::Ignored => {}
            Taken::Answered => sent(socket.send_to(&answer, client).await, client),
            Taken::Waits(waiting) => {
                let (socket, handler) = (socket.clone(), handler.clone());
                tokio::spawn(async move {
                    let answer = waiting.answer(&handler, Udp).await;
                    sent(socket.send_to(&answer, client).await, client);
                });
            }
        }
    }
}

fn sent(result: io::Result<usize>, client: SocketAddr) {
    if let Err(error) = result {
        debug!(%client, %error, "answer not sent");
    }
}
