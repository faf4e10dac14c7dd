//! The API server: TLS, authentication, routing, negotiation and the generic verbs.
