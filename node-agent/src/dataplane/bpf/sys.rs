//! The commands of bpf(2) for pinned links that aya 0.14 does not offer, or not for cgroups.

use std::{
    ffi::CString,
    io,
    os::{
        fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
};

const BPF_OBJ_GET: libc::c_int = 7;
const BPF_LINK_UPDATE: libc::c_int = 29;
const BPF_LINK_DETACH: libc::c_int = 34;

/// `bpf_attr` of BPF_OBJ_GET.
#[repr(C)]
struct ObjGet {
    pathname: u64,
    bpf_fd: u32,
    file_flags: u32,
}

/// `bpf_attr` of BPF_LINK_UPDATE.
#[repr(C)]
struct LinkUpdate {
    link_fd: libc::c_int,
    new_prog_fd: libc::c_int,
    flags: u32,
    old_prog_fd: u32,
}

/// Opens a pinned object.
pub(super) fn open_pin(path: &Path) -> io::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let attr = ObjGet { pathname: path.as_ptr() as u64, bpf_fd: 0, file_flags: 0 };
    // SAFETY: the path ends in a NUL byte and outlives the call.
    let fd = unsafe { bpf(BPF_OBJ_GET, &attr) }?;
    // SAFETY: on success the kernel returns a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Puts another program into a link, in one step for everybody who runs through it.
///
/// ENOLINK says that what the link was attached to is gone.
pub(super) fn update_link(link: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    let attr = LinkUpdate { link_fd: link.as_raw_fd(), new_prog_fd: program.as_raw_fd(), flags: 0, old_prog_fd: 0 };
    // SAFETY: the attribute holds numbers only.
    unsafe { bpf(BPF_LINK_UPDATE, &attr) }.map(drop)
}

/// Takes a link off what it is attached to, at once and whoever else holds it.
pub(super) fn detach_link(link: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the attribute is the number of the link.
    unsafe { bpf(BPF_LINK_DETACH, &link.as_raw_fd()) }.map(drop)
}

/// # Safety
/// `T` is the attribute of `command`, and pointers in it are valid for it.
unsafe fn bpf<T>(command: libc::c_int, attr: &T) -> io::Result<libc::c_int> {
    // SAFETY: the kernel reads `size_of::<T>()` bytes at `attr`; the rest is the caller's promise.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_ref(attr), size_of::<T>()) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    // Descriptors and zero fit.
    Ok(result as libc::c_int)
}
