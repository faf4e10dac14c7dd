//! Pods on a real container engine that each test starts for itself. Needs root.

#[path = "docker/bed.rs"]
mod bed;
#[path = "docker/pods.rs"]
mod pods;
#[path = "docker/runtime.rs"]
mod runtime;
