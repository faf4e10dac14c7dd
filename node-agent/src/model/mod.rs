//! Kubernetes objects as validated plain facts.
