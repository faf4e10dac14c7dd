//! The pods' network in namespaces of its own: a node, the world outside of it, and pods. Needs root.

mod bed;
mod connect;
mod guard;
mod lifecycle;
