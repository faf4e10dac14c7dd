//! What the programs log, as tracing events.
//!
//! The programs ask a constant before they log; it is set here when they are loaded, so that
//! logging that nobody hears costs nothing.

use aya::Ebpf;
use aya_log::EbpfLogger;
use tokio::{
    io::{Interest, unix::AsyncFd},
    runtime::Handle,
    task::JoinHandle,
};
use tracing::{debug, warn};

/// The target of the events.
const TARGET: &str = "nodeplane::bpf";

/// The programs log nothing.
const OFF: u8 = 0;

/// Ends when dropped.
pub(super) struct Forwarding(JoinHandle<()>);

impl Drop for Forwarding {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// How much the programs shall log: at most debug, and only if somebody listens.
pub(super) fn level() -> u8 {
    if tracing::enabled!(target: TARGET, tracing::Level::DEBUG) { aya_log::Level::Debug as u8 } else { OFF }
}

/// Reads the programs' log until the result is dropped. None when nobody listens, or when there is
/// no runtime to read in.
pub(super) fn forward(ebpf: &mut Ebpf) -> Option<Forwarding> {
    if level() == OFF {
        return None;
    }
    let runtime = Handle::try_current().ok()?;
    let _entered = runtime.enter();
    let reader = match EbpfLogger::init_with_logger(ebpf, Events) {
        // SAFETY: the logger owns the descriptor of the ring buffer and never exchanges it; it goes
        // when the `AsyncFd` that owns the logger goes.
        Ok(logger) => unsafe { AsyncFd::register_with_interest(logger, Interest::READABLE) },
        Err(error) => {
            warn!(%error, "the log of the BPF programs cannot be read");
            return None;
        }
    };
    match reader {
        Ok(reader) => Some(Forwarding(runtime.spawn(read(reader)))),
        Err(error) => {
            warn!(%error, "the log of the BPF programs cannot be waited for");
            None
        }
    }
}

async fn read(mut reader: AsyncFd<EbpfLogger<Events>>) {
    loop {
        match reader.readable_mut().await {
            Ok(mut ready) => {
                ready.get_inner_mut().flush();
                ready.clear_ready();
            }
            Err(error) => {
                warn!(%error, "the log of the BPF programs ends");
                return;
            }
        }
    }
}

/// Turns records into events.
struct Events;

impl log::Log for Events {
    fn enabled(&self, _metadata: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        debug!(target: TARGET, hook = record.target(), "{}", record.args());
    }

    fn flush(&self) {}
}
