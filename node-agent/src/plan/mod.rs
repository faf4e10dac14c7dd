//! Desired bytes, their difference from what is there, and the order of operations. Pure.
