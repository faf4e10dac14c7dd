//! The bytes that kernel and node agent agree on.
//!
//! In: nothing. Out: the keys and values of every map, the ranges the programs are told at load
//! time, verdict numbers, map names and capacities. Both sides compile this crate, so that a
//! change of layout is a change of one file, and the size assertions say so at compile time.
//!
//! Laws of this crate: byte order is in the type; padding is a named field that is always zero
//! (the kernel compares keys byte by byte); no `bool`, `enum` or `Option` inside a map value.
//! It never decides anything.
#![no_std]

pub mod addr;
pub mod affinity;
pub mod endpoint;
pub mod maps;
pub mod ranges;
pub mod reverse;
pub mod service;
pub mod verdict;

/// The version of all layouts together; pins live in a directory of this number.
///
/// Raise it whenever a key, a value, a map name or the meaning of one of them changes: a new agent
/// then fills maps of its own beside the old ones and retires those when it is ready.
pub const ABI_VERSION: u32 = 2;

/// Asserts the size of a type and lets the agent use it with aya.
///
/// Every type given here is `repr(C)` or `repr(transparent)`, consists of integers and arrays of
/// them, and has no implicit padding: the asserted size is the sum of the sizes of its fields.
macro_rules! plain {
    ($($type:ty = $size:expr),+ $(,)?) => {$(
        const _: () = assert!(size_of::<$type>() == $size);
        // SAFETY: the type is Copy, 'static, without references and without implicit padding
        // (see the macro's comment), so every one of its bytes is initialised.
        #[cfg(feature = "user")]
        unsafe impl aya::Pod for $type {}
    )+};
}
pub(crate) use plain;
