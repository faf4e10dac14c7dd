//! A sample web server: it answers every request on port 8080 with the name of the pod that it runs in.
//!
//! In: HTTP/1 requests. Out: `200` and the host name. It ends at once on SIGTERM, as a pod should. Compiled alone into a
//! static program that needs no files.

use std::ffi::c_int;
use std::io::{BufRead, BufReader, Result, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

/// A client that says nothing for this long is cut off.
const PATIENCE: Duration = Duration::from_secs(10);

const SIGTERM: c_int = 15;

unsafe extern "C" {
    fn signal(signal: c_int, handler: extern "C" fn(c_int)) -> usize;
    fn _exit(status: c_int) -> !;
}

/// The first process of a container has no default action for signals: without a handler it would ignore them.
extern "C" fn end(_signal: c_int) {
    // SAFETY: `_exit` may be called from a signal handler (signal-safety(7)).
    unsafe { _exit(0) }
}

fn main() -> Result<()> {
    // SAFETY: `end` has the type of a signal handler and does nothing that a handler must not do.
    unsafe { signal(SIGTERM, end) };
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname")?.trim().to_owned();
    let listener = TcpListener::bind(("0.0.0.0", 8080))?;
    println!("{name} listens on {}", listener.local_addr()?);
    for stream in listener.incoming() {
        let name = name.clone();
        thread::spawn(move || match stream.and_then(|stream| answer(stream, &name)) {
            Ok(line) => println!("{line}"),
            Err(error) => eprintln!("a request was lost: {error}"),
        });
    }
    Ok(())
}

/// Reads one request to the end of its header and answers it; gives its first line.
fn answer(mut stream: TcpStream, name: &str) -> Result<String> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let header: Vec<String> = BufReader::new(&stream)
        .lines()
        .take(100)
        .take_while(|line| !matches!(line.as_deref(), Ok("")))
        .collect::<Result<_>>()?;
    let length = name.len() + 1;
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    stream.write_all(format!("{head}{name}\n").as_bytes())?;
    Ok(header.into_iter().next().unwrap_or_default())
}
