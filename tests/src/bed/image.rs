//! The container image of the scenarios: the sample server and a shell, without a registry.

use std::{
    fs::File,
    io::{self, Write},
    path::Path,
};

use anyhow::{Context as _, Result};
use tar::{Builder, EntryType, Header};

use super::cluster::binary;

/// The image's name.
pub const HELLO: &str = "nodeplane/hello:1";

/// Debian's statically linked busybox.
const BUSYBOX: &str = "/bin/busybox";

/// Commands that scenarios use inside pods.
const APPLETS: &[&str] = &[
    "cat", "date", "echo", "env", "false", "grep", "head", "hostname", "httpd", "id", "ip", "ls", "mkdir", "mv", "nc",
    "nslookup", "rm", "seq", "sh", "sleep", "stat", "test", "touch", "true", "wget",
];

/// Folders that the container runtime mounts over, and those that programs expect.
const FOLDERS: &[(&str, u32)] = &[("tmp", 0o1777), ("etc", 0o755), ("proc", 0o555), ("sys", 0o555), ("dev", 0o755)];

/// Writes the image's file system as a tar archive for `docker import`.
///
/// # Errors
/// When the sample server is not built or busybox is not installed.
pub fn write_hello(path: &Path) -> Result<()> {
    let mut tar = Builder::new(File::create(path)?);
    tar.append_path_with_name(binary("hello")?, "hello").context("the sample server")?;
    tar.append_path_with_name(BUSYBOX, "bin/busybox").context("busybox-static is not installed")?;
    for applet in APPLETS {
        tar.append_link(&mut header(EntryType::Symlink, 0o777), format!("bin/{applet}"), "busybox")?;
    }
    for (folder, mode) in FOLDERS {
        append(&mut tar, &mut header(EntryType::Directory, *mode), &format!("{folder}/"), "")?;
    }
    // Programs ask for the name of the user that they run as.
    append(&mut tar, &mut header(EntryType::Regular, 0o644), "etc/passwd", "root:x:0:0:root:/:/bin/sh\n")?;
    tar.into_inner()?.flush()?;
    Ok(())
}

fn header(kind: EntryType, mode: u32) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(0);
    header.set_mode(mode);
    header
}

fn append(tar: &mut Builder<File>, header: &mut Header, path: &str, text: &str) -> io::Result<()> {
    header.set_size(text.len() as u64);
    tar.append_data(header, path, text.as_bytes())
}
