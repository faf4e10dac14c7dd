//! Clients from kubeconfig files.
