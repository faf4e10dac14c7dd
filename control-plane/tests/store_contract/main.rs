//! What every store promises, proven on each of them; and what each survives.

#![expect(unreachable_pub, reason = "a test binary has no outside")]

mod bed;
mod contract;
mod copy;
mod crash;
mod disconnect;
mod history;
mod linear;
mod lives;
mod members;
mod tls;
mod users;
mod watching;
