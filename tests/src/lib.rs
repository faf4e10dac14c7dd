//! Beds that tests lie in: whatever a test makes on the machine has a name of its own and is gone
//! when the test ends, also after a panic.

pub mod bed;
