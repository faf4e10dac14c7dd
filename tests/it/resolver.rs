//! A name server of the test, at an address of a namespace of its choice, on UDP and TCP.
//!
//! Every name has one address here, [`ANSWER`]. A name whose first label begins with `large` is
//! answered on TCP alone; on UDP it says that the answer was cut.

use std::{
    io::{self, ErrorKind, Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket},
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

/// The address of every name.
pub(crate) const ANSWER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 53);
/// The port of DNS.
const PORT: u16 = 53;
/// How soon the server sees that it should end.
const TICK: Duration = Duration::from_millis(10);
/// How long a caller may take to ask.
const PATIENCE: Duration = Duration::from_secs(5);
/// Header of a message, in bytes.
const HEADER: usize = 12;
/// Flags of an answer that was cut, and of one that was not.
const CUT: [u8; 2] = [0x83, 0x80];
const WHOLE: [u8; 2] = [0x81, 0x80];

/// A server at work; ends when dropped.
#[derive(Debug)]
pub(crate) struct Resolver {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Resolver {
    /// Listens at an address of the namespace.
    pub(crate) fn start(netns: &Path, address: Ipv4Addr) -> Result<Self> {
        let bind = || Ok::<_, io::Error>((UdpSocket::bind((address, PORT))?, TcpListener::bind((address, PORT))?));
        let (udp, tcp) = run_in(netns, bind).context("the test's name server")?;
        udp.set_read_timeout(Some(TICK))?;
        tcp.set_nonblocking(true)?;
        let stop = Arc::new(AtomicBool::new(false));
        let (on_udp, on_tcp) = (Arc::clone(&stop), Arc::clone(&stop));
        let threads =
            vec![thread::spawn(move || serve_udp(&udp, &on_udp)), thread::spawn(move || serve_tcp(&tcp, &on_tcp))];
        Ok(Self { stop, threads })
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn serve_udp(socket: &UdpSocket, stop: &AtomicBool) {
    let mut packet = [0; 1500];
    while !stop.load(Ordering::Relaxed) {
        match socket.recv_from(&mut packet) {
            // Who is not answered is seen by the scenario.
            Ok((length, client)) => drop(answer(&packet[..length], true).map(|answer| socket.send_to(&answer, client))),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => thread::sleep(TICK),
        }
    }
}

fn serve_tcp(listener: &TcpListener, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        match listener.accept() {
            Ok((stream, _)) => drop(converse(stream)),
            Err(_) => thread::sleep(TICK),
        }
    }
}

fn converse(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut packet = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut packet)?;
    let answer = answer(&packet, false).ok_or(ErrorKind::InvalidData)?;
    let length = u16::try_from(answer.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), &answer[..]].concat())
}

/// The bytes that answer a question; nothing for what is no question.
fn answer(packet: &[u8], on_udp: bool) -> Option<Vec<u8>> {
    let name = packet.get(HEADER..)?;
    // The name ends with an empty label; type and class follow.
    let length = name.iter().position(|byte| *byte == 0)? + 1 + 4;
    let (id, question) = (packet.get(..2)?, name.get(..length)?);
    let cut = on_udp && question[1..].starts_with(b"large");
    let counts = [0, 1, 0, u8::from(!cut), 0, 0, 0, 0];
    let head = [id, if cut { &CUT } else { &WHOLE }, &counts, question].concat();
    // The name again, as a pointer to the question; type A, class IN, a minute to live.
    let record = [&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4][..], &ANSWER.octets()].concat();
    Some(if cut { head } else { [head, record].concat() })
}
