//! Paths that a reader complains about, as many as help anybody.

/// How many are kept (as Go's strict decoder).
const COUNT: usize = 100;

/// No more are kept after this many bytes: keys of free maps may be as long as a body.
const BYTES: usize = 64 * 1024;

/// A bounded list of sentences or paths.
#[derive(Debug, Default)]
pub struct Complaints {
    kept: Vec<String>,
    bytes: usize,
}

impl Complaints {
    /// Keeps one more, unless there are plenty; `text` is made only when it is kept.
    pub fn push(&mut self, text: impl FnOnce() -> String) {
        if self.kept.len() < COUNT && self.bytes < BYTES {
            let text = text();
            self.bytes += text.len();
            self.kept.push(text);
        }
    }
}

impl From<Complaints> for Vec<String> {
    fn from(complaints: Complaints) -> Self {
        complaints.kept
    }
}
