//! The certificate authority of the cluster, client certificates and kubeconfigs.
