//! Informers of what this node must know.
