//! Long lists, written by all processors at once.
//!
//! In: objects, and what writes some of them. Out: what was written of each share, in order. A
//! client waits for the whole list, so its time counts; a short list is written where it is, a long
//! one aside, where it keeps no other call from getting on.

use std::{num::NonZero, thread};

use tokio::task::{self, JoinError};

/// Objects that are worth a thread.
const WORTHWHILE: usize = 1000;

/// Does what takes its time when there are many objects.
///
/// # Errors
/// When `work` panics.
pub(super) async fn aside<W: Send + 'static>(
    objects: usize,
    work: impl FnOnce() -> W + Send + 'static,
) -> Result<W, JoinError> {
    if objects < WORTHWHILE { Ok(work()) } else { task::spawn_blocking(work).await }
}

/// What `write` makes of each share of the objects.
pub(super) fn written<T: Sync, W: Send>(objects: &[T], write: impl Fn(&[T]) -> W + Sync) -> Vec<W> {
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    let shares = (objects.len() / WORTHWHILE).clamp(1, processors);
    if shares == 1 {
        return vec![write(objects)];
    }
    let write = &write;
    thread::scope(|scope| {
        let size = objects.len().div_ceil(shares);
        let threads: Vec<_> = objects.chunks(size).map(|share| scope.spawn(move || write(share))).collect();
        // A panic goes on here.
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, time::Duration};

    use super::*;

    #[tokio::test]
    async fn a_long_list_holds_up_nobody_and_a_short_one_stays_where_it_is() {
        let (tell, told) = mpsc::channel();
        // There is one thread for both: who writes here waits in vain.
        let long = aside(WORTHWHILE, move || told.recv_timeout(Duration::from_secs(20)));
        let (heard, ()) = tokio::join!(long, async move { tell.send(()).unwrap() });
        assert_eq!(heard.unwrap(), Ok(()));
        let short = aside(WORTHWHILE - 1, || thread::current().id()).await.unwrap();
        assert_eq!(short, thread::current().id());
    }

    #[test]
    fn shares_come_in_order_and_leave_nothing_out() {
        for length in [0, 1, 999, 1000, 2000, 2001, 50_003] {
            let objects: Vec<usize> = (0..length).collect();
            assert_eq!(written(&objects, <[usize]>::to_vec).concat(), objects);
        }
    }
}
