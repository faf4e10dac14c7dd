//! What happens to the objects of a path, as it happens.
//!
//! In: a watch of the cache. Out: a body that grows by one line per event, until the client's
//! time is up, the server stops, or the client was too slow; it then watches again from the last
//! revision it saw.

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use futures::Stream;
use nodeplane_api::status::{FieldErrors, Status};
use nodeplane_metrics::Histogram;
use tokio::time::{Instant, interval_at, sleep};
use tokio_util::sync::CancellationToken;

use super::{
    answer::include, ask::Ask, event_writer::EventWriter, options::META_GROUP, revision::Wanted, selection::Selection,
    watch_events::seen,
};
use crate::{
    http::{
        call::Query,
        codec::Codec,
        reply::{BodyError, Reply},
    },
    metrics::watches,
    store::{
        StoreError,
        object::Object,
        watch_cache::{Freshness, Watch},
    },
};

/// Time between two bookmarks: less than the cache remembers, so that a client that only ever
/// saw bookmarks can go on from the last one.
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);

/// Bytes that are sent as one piece when that many are there.
const PIECE: usize = 64 * 1024;

/// Answers with a stream of events.
///
/// # Errors
/// 400 and 422 for parameters, 406 for a form that cannot be streamed, 504 when the cache does
/// not get fresh enough in time. A revision that is too old is an event of the stream.
pub(super) async fn watch(ask: &Ask<'_>) -> Result<Reply, Status> {
    let stream_type = ask.form.codec.stream_type().ok_or_else(Status::not_acceptable)?;
    let asked = Asked::read(&ask.call.query, ask.api.bounds.watch)?;
    let selection = Selection::read(ask)?;
    let writer = EventWriter { kind: ask.kind(), form: ask.form, include: include(ask), has_headings: false };
    match open(ask, &selection.scope, asked.start).await {
        Ok((initial, watch)) => {
            let stop = ask.api.stop.child_token();
            let sent = watches::sent(ask.kind());
            let following = Following { asked, selection, writer, stop, sent };
            Ok(Reply::growing(stream_type, following.run(initial, watch)))
        }
        Err(StoreError::Compacted { oldest }) => too_old(ask.form.codec, stream_type, asked.start, oldest),
        Err(error) => Err(ask.refused(error)),
    }
}

/// A stream of nothing but the news that the revision is gone.
fn too_old(codec: Codec, stream_type: &'static str, start: Start, oldest: u64) -> Result<Reply, Status> {
    let asked = match start {
        Start::After(revision) => revision,
        Start::State(_) | Start::Now => 0,
    };
    let status = Status::expired(format!("too old resource version: {asked} ({oldest})"));
    let event = codec.encode_event("ERROR", &status.to_object())?;
    Ok(Reply::growing(stream_type, futures::stream::iter([Ok(event)])))
}

/// Where a watch starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    /// With the present state, at least this fresh.
    State(Freshness),
    /// With what happens from now on.
    Now,
    /// With what happened after a revision.
    After(u64),
}

async fn open(ask: &Ask<'_>, scope: &str, start: Start) -> Result<(Vec<Object>, Watch), StoreError> {
    let cache = ask.api.objects.cache();
    match start {
        Start::State(fresh) => cache.list_and_watch(scope, fresh).await.map(|(list, watch)| (list.objects, watch)),
        Start::Now => cache.list_and_watch(scope, Freshness::Newest).await.map(|(_, watch)| (Vec::new(), watch)),
        Start::After(revision) => cache.watch(scope, revision).await.map(|watch| (Vec::new(), watch)),
    }
}

/// The parameters of a watch.
struct Asked {
    start: Start,
    bookmarks: bool,
    /// Whether a bookmark tells where the present state ends.
    marks_initial_end: bool,
    within: Duration,
    /// Time between two bookmarks.
    bookmark_every: Duration,
}

impl Asked {
    /// A client that does not say how long it watches does so for a time between one and two times
    /// `least`, at random, so that clients do not all come back at once.
    fn read(query: &Query, least: Duration) -> Result<Self, Status> {
        check(query)?;
        let initial = query.optional_flag("sendInitialEvents");
        let wanted = Wanted::parse(query.text("resourceVersion"))?;
        let start = match (initial, wanted) {
            (Some(true) | None, Wanted::Newest) => Start::State(Freshness::Newest),
            (Some(true) | None, Wanted::Any) => Start::State(Freshness::Any),
            (Some(true), Wanted::At(revision)) => Start::State(Freshness::AtLeast(revision)),
            (Some(false), Wanted::Newest | Wanted::Any) => Start::Now,
            (Some(false) | None, Wanted::At(revision)) => Start::After(revision),
        };
        let seconds = query.number("timeoutSeconds")?.and_then(|seconds| u64::try_from(seconds).ok());
        let within = match seconds.filter(|seconds| *seconds > 0) {
            Some(seconds) => Duration::from_secs(seconds),
            None => least.mul_f64(rand::random_range(1.0..2.0)),
        };
        Ok(Self {
            start,
            bookmarks: query.flag("allowWatchBookmarks"),
            marks_initial_end: initial == Some(true),
            within,
            bookmark_every: BOOKMARK_EVERY,
        })
    }
}

/// Combinations that mean nothing (apimachinery `validateWatchOptions`).
fn check(query: &Query) -> Result<(), Status> {
    let mut errors = FieldErrors::default();
    let (matching, field) = (query.text("resourceVersionMatch"), "resourceVersionMatch");
    let initial = query.get("sendInitialEvents").is_some();
    if initial && matching != "NotOlderThan" {
        errors.forbidden(field, "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan");
    }
    if !matching.is_empty() {
        if !initial {
            errors.forbidden(field, "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided");
        }
        if matching != "NotOlderThan" {
            errors.not_supported(field, matching, &["NotOlderThan"]);
        }
        if !query.text("continue").is_empty() {
            errors.forbidden(field, "resourceVersionMatch is forbidden when continue is provided");
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(Status::invalid_as(META_GROUP, "ListOptions", "", &errors)) }
}

/// A watch that is being answered.
struct Following {
    asked: Asked,
    selection: Selection,
    writer: EventWriter,
    stop: CancellationToken,
    /// The sizes of what is sent.
    sent: Arc<Histogram>,
}

impl Following {
    fn run(mut self, initial: Vec<Object>, mut watch: Watch) -> impl Stream<Item = Result<Bytes, BodyError>> + Send {
        async_stream::try_stream! {
            let mut ends = std::pin::pin!(sleep(self.asked.within));
            let mut bookmarks = interval_at(Instant::now() + self.asked.bookmark_every, self.asked.bookmark_every);
            for piece in self.present(&initial, watch.revision())? {
                yield piece;
            }
            drop(initial);
            loop {
                let event = tokio::select! {
                    event = watch.next_event() => event,
                    _ = bookmarks.tick(), if self.asked.bookmarks => {
                        yield self.writer.bookmark(watch.revision(), false)?;
                        continue;
                    }
                    () = &mut ends => {
                        if self.asked.bookmarks {
                            yield self.writer.bookmark(watch.revision(), false)?;
                        }
                        break;
                    }
                    () = self.stop.cancelled() => break,
                };
                let Some(event) = event else { break };
                let mut piece = Piece::default();
                let mut next = Some(event);
                while let Some(event) = next.take() {
                    if let Some(seen) = seen(&event, &self.selection) {
                        let frame = self.writer.event(&seen)?;
                        self.sent.observe(frame.len() as u64);
                        piece.add(frame);
                    }
                    next = if piece.len() < PIECE { watch.try_next_event() } else { None };
                }
                if let Some(piece) = piece.finish() {
                    yield piece;
                }
            }
        }
    }

    /// The present state as events, in pieces.
    fn present(&mut self, initial: &[Object], revision: u64) -> Result<Vec<Bytes>, Status> {
        let mut pieces = Vec::new();
        let mut piece = BytesMut::new();
        for object in initial.iter().filter(|object| self.selection.matches(object)) {
            let frame = self.writer.object("ADDED", object)?;
            self.sent.observe(frame.len() as u64);
            piece.extend_from_slice(&frame);
            if piece.len() >= PIECE {
                pieces.push(piece.split().freeze());
            }
        }
        if self.asked.marks_initial_end && self.asked.bookmarks {
            piece.extend_from_slice(&self.writer.bookmark(revision, true)?);
        }
        if !piece.is_empty() {
            pieces.push(piece.freeze());
        }
        Ok(pieces)
    }
}

/// Frames that go out together. One alone, the usual case, is not copied: all watchers send the
/// same bytes.
#[derive(Default)]
struct Piece {
    first: Bytes,
    all: BytesMut,
}

impl Piece {
    fn add(&mut self, frame: Bytes) {
        if self.first.is_empty() {
            self.first = frame;
            return;
        }
        if self.all.is_empty() {
            self.all.extend_from_slice(&self.first);
        }
        self.all.extend_from_slice(&frame);
    }

    fn len(&self) -> usize {
        self.first.len().max(self.all.len())
    }

    fn finish(self) -> Option<Bytes> {
        let whole = if self.all.is_empty() { self.first } else { self.all.freeze() };
        (!whole.is_empty()).then_some(whole)
    }
}

#[cfg(test)]
mod tests;
