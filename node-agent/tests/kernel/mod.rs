//! The tests, by what they look at.

mod bed;
mod lifecycle;
mod packets;
mod sockets;
