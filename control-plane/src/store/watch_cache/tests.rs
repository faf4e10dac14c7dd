//! The state by itself, with the time in hand.
