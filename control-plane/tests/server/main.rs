//! The real program as a process: how it starts, whom it lets in, what survives its death.

#![expect(unreachable_pub, reason = "a test binary has no outside")]

mod access;
mod bed;
mod copying;
mod death;
mod draining;
mod leading;
mod operations;
mod refusals;
