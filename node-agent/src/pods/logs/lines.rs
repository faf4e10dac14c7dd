//! Drops the lines of a log that are too old. Pure.

use bytes::Bytes;
use jiff::Timestamp;

/// A line that is longer is passed on in parts.
const LONGEST: usize = 64 << 10;

/// Lines that begin with their time, in pieces of any size.
pub(super) struct Lines {
    since: Timestamp,
    keep_times: bool,
    /// A line whose end has not come.
    rest: Vec<u8>,
    /// Whether the line whose beginning was passed on is kept; none at the beginning of a line.
    within: Option<bool>,
}

impl Lines {
    /// Keeps what was written at `since` or later, and the times when `keep_times` says so.
    pub(super) fn new(since: Timestamp, keep_times: bool) -> Self {
        Self { since, keep_times, rest: Vec::new(), within: None }
    }

    /// Takes a piece in; what is complete and kept.
    pub(super) fn push(&mut self, piece: &[u8]) -> Bytes {
        let mut kept = Vec::new();
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            let is_end = part.ends_with(b"\n");
            if let Some(keep) = self.within {
                // Its beginning is out already.
                if keep {
                    kept.extend_from_slice(part);
                }
                self.within = self.within.filter(|_| !is_end);
                continue;
            }
            self.rest.extend_from_slice(part);
            if is_end || self.rest.len() > LONGEST {
                let line = std::mem::take(&mut self.rest);
                let shown = self.shown(&line);
                kept.extend_from_slice(shown.unwrap_or_default());
                self.within = (!is_end).then_some(shown.is_some());
            }
        }
        kept.into()
    }

    /// The last line, when it has no end.
    pub(super) fn finish(&mut self) -> Bytes {
        let rest = std::mem::take(&mut self.rest);
        Bytes::copy_from_slice(self.shown(&rest).unwrap_or_default())
    }

    /// What is shown of a line's beginning; nothing when the line is too old.
    fn shown<'a>(&self, line: &'a [u8]) -> Option<&'a [u8]> {
        let space = line.iter().position(|byte| *byte == b' ');
        let (time, text) = space.map_or((line, &line[line.len()..]), |space| (&line[..space], &line[space + 1..]));
        let time = std::str::from_utf8(time).ok().and_then(|text| text.trim_end().parse::<Timestamp>().ok());
        match time {
            Some(time) if time < self.since => None,
            Some(_) if !self.keep_times => Some(text),
            _ => Some(line),
        }
    }
}

#[cfg(test)]
mod tests;
