//! Resource quantities: exact decimal numbers with SI and binary suffixes.
