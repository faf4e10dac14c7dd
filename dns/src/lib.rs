//! Answers names from the cluster's truth.
//!
//! In: Services, EndpointSlices and Namespaces through informers, and questions on UDP and TCP.
//! Out: answers by the Kubernetes DNS specification 1.1, and forwarded answers for every name
//! that is not the cluster's. One way through the rooms: [`observe`] reflects objects into
//! facts, [`zone`] makes an immutable picture of them, [`answer`] is a pure function of picture
//! and question, [`server`] speaks the protocol, [`forward`] and [`cache`] serve all other names.
//! Never writes to the cluster, and never forwards a name of the cluster domain or of the
//! reverse zones of the cluster's own ranges.

pub mod answer;
pub mod cache;
pub mod config;
pub mod forward;
#[cfg(test)]
mod golden;
pub mod observe;
pub mod reply;
pub mod run;
pub mod server;
mod shares;
pub mod zone;

pub use config::{Config, ConfigError, PodNames, Upstreams};
pub use observe::Sources;
pub use run::{Dns, StartError};
pub use zone::range::Range;
