//! The tests, by what they look at.

mod bed;
mod lifecycle;
mod net;
mod packets;
mod sockets;
mod spoofing;
