//! What the programs log becomes tracing events. Alone in its process, because who listens is asked
//! once for the whole process. Needs root.

#[path = "kernel/bed.rs"]
#[expect(dead_code, reason = "the bed offers more than one test needs")]
mod bed;

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use bed::{Node, PORT, Seen, Server, VIP, ask_tcp, backend_addr, frontend, services};
use nodeplane_node_agent::model::Protocol;
use tokio::time::{Instant, sleep};

/// What was logged.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("lock").write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().expect("lock")).into_owned()
    }
}

#[tokio::test]
async fn hits_and_refusals_are_heard() {
    let lines = Lines::default();
    let writer = lines.clone();
    tracing_subscriber::fmt()
        .with_env_filter("nodeplane::bpf=debug")
        .with_writer(move || writer.clone())
        .with_ansi(false)
        .init();

    let node = Node::new();
    let _server = Server::tcp(&node.netns, backend_addr(1));
    let plane = node.plane();
    plane.sync(&services(&[frontend(Protocol::Tcp, &[1])])).expect("sync");
    let service = SocketAddr::from((VIP, PORT));
    let seen: Vec<Result<Seen, i32>> =
        node.client().run(|| vec![ask_tcp(service), ask_tcp((VIP, PORT + 1))]).expect("client");
    assert_eq!(seen, [Ok((1, service)), Err(libc::ECONNREFUSED)]);

    let expected = [
        "DEBUG nodeplane::bpf: service hit: 10.96.7.1:80 proto 6 to 127.0.1.1:8080",
        "DEBUG nodeplane::bpf: refused: 10.96.7.1:81 proto 6 verdict 2",
    ];
    let deadline = Instant::now() + Duration::from_secs(10);
    while !expected.iter().all(|line| lines.text().contains(line)) {
        assert!(Instant::now() < deadline, "{}", lines.text());
        sleep(Duration::from_millis(10)).await;
    }
}
