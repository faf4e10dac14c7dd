//! Whether controllers and scheduler run in this process, as far as the API tells of it.

use std::sync::atomic::{AtomicBool, Ordering};

/// Told by who runs them, read by who is asked.
#[derive(Debug, Default)]
pub struct Moves(AtomicBool);

/// They run for as long as this exists.
#[derive(Debug)]
pub struct Moving<'a>(&'a AtomicBool);

impl Moves {
    /// Whether they run here.
    pub fn is_here(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Tells that they run here.
    pub fn begin(&self) -> Moving<'_> {
        self.0.store(true, Ordering::Relaxed);
        Moving(&self.0)
    }
}

impl Drop for Moving<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}
