//! Talk to a Kubernetes API server and react to it.
//!
//! In: a kubeconfig or a [`kube::Client`]. Out: [`informer::Informer`] caches that are whole
//! when they are seen, [`services`] with their endpoints, the one [`controller`] runtime with its [`queue`], and what it writes
//! through: [`write`] for objects, [`recorder`] for events; [`leader`] election where several
//! could do one job. This crate holds no business logic.
//! The feature `fake` adds an API server in memory, for tests of whoever talks to one.

pub mod connect;
pub mod controller;
pub mod informer;
pub mod leader;
pub mod queue;
pub mod recorder;
pub mod services;
pub mod write;

#[cfg(any(test, feature = "fake"))]
pub mod fake;

pub use kube;
