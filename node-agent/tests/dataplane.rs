//! The programs in the kernel, asked by real system calls and real packets. Needs root.

mod cases;
mod kernel;
