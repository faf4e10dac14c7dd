//! Drops the lines of a log that are too old. Pure.

use bytes::Bytes;
use jiff::Timestamp;

/// Lines that begin with their time, in pieces of any size.
pub(super) struct Lines {
    since: Timestamp,
    keep_times: bool,
    rest: Vec<u8>,
}

impl Lines {
    /// Keeps what was written at `since` or later, and the times when `keep_times` says so.
    pub(super) fn new(since: Timestamp, keep_times: bool) -> Self {
        Self { since, keep_times, rest: Vec::new() }
    }

    /// Takes a piece in; the lines that are complete and kept.
    pub(super) fn push(&mut self, piece: &[u8]) -> Bytes {
        self.rest.extend_from_slice(piece);
        let complete = self.rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let tail = self.rest.split_off(complete);
        let lines = std::mem::replace(&mut self.rest, tail);
        let mut kept = Vec::new();
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            kept.extend_from_slice(self.keep(line));
        }
        kept.into()
    }

    /// The last line, when it has no end.
    pub(super) fn finish(&mut self) -> Bytes {
        let rest = std::mem::take(&mut self.rest);
        Bytes::copy_from_slice(self.keep(&rest))
    }

    fn keep<'a>(&self, line: &'a [u8]) -> &'a [u8] {
        let space = line.iter().position(|byte| *byte == b' ');
        let (time, text) = space.map_or((line, &line[line.len()..]), |space| (&line[..space], &line[space + 1..]));
        let time = std::str::from_utf8(time).ok().and_then(|text| text.trim_end().parse::<Timestamp>().ok());
        match time {
            Some(time) if time < self.since => &[],
            Some(_) if !self.keep_times => text,
            _ => line,
        }
    }
}
