//! Pure reconcilers on the one controller runtime.
