//! Makes this node match the truth: pods run, packets flow, names resolve.
//!
//! `observe` and `model` know Kubernetes; `plan` and `dataplane` know bytes; the plain types of
//! `model` are all they share. `plan` is pure. `services` walks the way through them. `net` knows links and addresses, `pods` containers, `node` this machine
//! as an object of the cluster; `agent` puts all of them together.

pub mod agent;
pub mod config;
pub mod dataplane;
pub mod model;
pub mod net;
pub mod node;
pub mod observe;
pub mod plan;
pub mod pods;
pub mod server;
pub mod services;
