//! What the API server and operators ask of this node.
