//! Links, routes, addresses and namespaces of pods.
