//! A web server of the test, in a network namespace of its choice, that answers with the address its
//! caller has.

use std::{
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context as _, Result};
use nodeplane_tests::bed::netns::run_in;

/// How soon the server sees that it should end.
const TICK: Duration = Duration::from_millis(10);
/// How long a caller may take to ask.
const PATIENCE: Duration = Duration::from_secs(5);

/// A server at work; ends when dropped.
#[derive(Debug)]
pub(crate) struct PeerServer {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl PeerServer {
    /// Listens at an address of the namespace.
    pub(crate) fn start(netns: &Path, address: Ipv4Addr, port: u16) -> Result<Self> {
        let listener = run_in(netns, || TcpListener::bind((address, port))).context("the test's server")?;
        listener.set_nonblocking(true)?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || serve(&listener, &stopped));
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for PeerServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn serve(listener: &TcpListener, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        match listener.accept() {
            // A caller that goes away is its own affair: the scenario sees that it got no answer.
            Ok((stream, peer)) => drop(answer(stream, peer)),
            Err(_) => thread::sleep(TICK),
        }
    }
}

fn answer(mut stream: TcpStream, peer: SocketAddr) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut asked = Vec::new();
    while !asked.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        asked.push(byte[0]);
    }
    let body = peer.ip().to_string();
    write!(stream, "HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}
