//! Talk to a Kubernetes API server and react to it.
//!
//! In: a kubeconfig or a [`kube::Client`]. Out: [`informer::Informer`] caches that are whole
//! when they are seen, and the one [`controller`] runtime. This crate holds no business logic.

pub mod connect;
pub mod controller;
pub mod informer;
pub mod queue;

pub use kube;
