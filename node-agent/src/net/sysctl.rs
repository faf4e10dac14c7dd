//! Kernel parameters of the calling thread's network namespace.

use std::{fs, io, path::PathBuf};

use super::{Error, Result};

/// Whether packets are forwarded at all.
pub const IP_FORWARD: &str = "ipv4/ip_forward";

/// Reads a parameter, given as a path below `/proc/sys/net`.
///
/// # Errors
/// It is not there.
pub fn read(name: &str) -> Result<String> {
    let path = path(name);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(text.trim().to_owned()),
        Err(source) => Err(Error::Sysctl { path, source }),
    }
}

/// Sets a parameter.
///
/// # Errors
/// It is not there, or refuses the value.
pub fn write(name: &str, value: &str) -> Result<()> {
    let path = path(name);
    fs::write(&path, value).map_err(|source| Error::Sysctl { path, source })
}

/// Sets a parameter of a part of the kernel that may be missing.
///
/// # Errors
/// It refuses the value.
pub fn write_if_there(name: &str, value: &str) -> Result<()> {
    match write(name, value) {
        Err(Error::Sysctl { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn path(name: &str) -> PathBuf {
    PathBuf::from("/proc/sys/net").join(name)
}
