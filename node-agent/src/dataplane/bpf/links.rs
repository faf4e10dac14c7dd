//! Programs at their hooks, by pinned links that outlive the agent.
//!
//! The name of a pin says what it is attached to: `<hook>-<cgroup id>` or `pod-<ifindex>`. Where
//! there is a link already, the program in it is swapped; where what it was attached to is gone
//! (ENOLINK), a new link takes its place.

use std::{
    fs, io,
    os::{fd::AsFd, unix::fs::MetadataExt as _},
    path::Path,
};

use aya::programs::{
    CgroupAttachMode, CgroupSockAddr, LinkOrder, SchedClassifier, TcAttachType,
    links::{FdLink, LinkError},
    tc::TcAttachOptions,
};
use nix::net::if_::if_indextoname;

use super::{
    FROM_POD, chain,
    pins::{Pins, pin_error},
    sys,
};
use crate::dataplane::{Error, Result};

/// The socket hooks, in the order in which they are attached: whoever could be translated must
/// already be able to hear answers in the Service's name.
pub(super) const SOCKET_HOOKS: [&str; 7] =
    ["recvmsg4", "recvmsg6", "getpeername4", "getpeername6", "connect4", "connect6", "sendmsg4"];

const POD: &str = "pod-";

/// Whether a pin bears a name that an agent gives: one of any version, so the number behind the hook is what counts.
pub(super) fn is_link(name: &str) -> bool {
    name.rsplit_once('-').is_some_and(|(hook, number)| !hook.is_empty() && number.parse::<u64>().is_ok())
}

/// Attaches a socket hook to a cgroup, or swaps it there.
pub(super) fn attach_socket_hook(
    pins: &Pins,
    hook: &mut CgroupSockAddr,
    program: &'static str,
    cgroup: &Path,
) -> Result<()> {
    try_attach_socket_hook(pins, hook, program, cgroup).map_err(|reason| Error::Attach {
        program,
        target: cgroup.display().to_string(),
        reason,
    })
}

fn try_attach_socket_hook(
    pins: &Pins,
    hook: &mut CgroupSockAddr,
    program: &str,
    cgroup: &Path,
) -> std::result::Result<(), String> {
    let folder = fs::File::open(cgroup).map_err(|error| error.to_string())?;
    let id = folder.metadata().map_err(|error| error.to_string())?.ino();
    let name = format!("{program}-{id}");
    if swap(pins, &name, hook.fd().map_err(|error| chain(&error))?)? {
        return Ok(());
    }
    // A link with other flags is refused; several links at one cgroup stack all the same.
    let id = hook.attach(folder, CgroupAttachMode::Single).map_err(|error| chain(&error))?;
    let link = hook.take_link(id).map_err(|error| chain(&error))?;
    replace_pin(pins, &name, link.try_into().map_err(|error: LinkError| chain(&error))?)
}

/// Detaches the socket hooks from every cgroup but this one: an earlier agent had another.
pub(super) fn drop_other_cgroups(pins: &Pins, cgroup: &Path) -> Result<()> {
    let id = fs::metadata(cgroup).map_err(|error| pin_error(cgroup, &error))?.ino();
    for name in pins.links()? {
        let elsewhere = SOCKET_HOOKS.iter().any(|program| {
            name.strip_prefix(program).and_then(|rest| rest.strip_prefix('-')).is_some_and(|at| at != id.to_string())
        });
        if elsewhere {
            pins.drop_link(&name)?;
        }
    }
    Ok(())
}

/// Attaches `from_pod` to an interface of this network namespace, or swaps it there.
pub(super) fn attach_from_pod(pins: &Pins, program: &mut SchedClassifier, ifindex: u32) -> Result<()> {
    try_attach_from_pod(pins, program, ifindex).map_err(|reason| Error::Attach {
        program: FROM_POD,
        target: format!("interface {ifindex}"),
        reason,
    })
}

fn try_attach_from_pod(pins: &Pins, program: &mut SchedClassifier, ifindex: u32) -> std::result::Result<(), String> {
    let name = format!("{POD}{ifindex}");
    if swap(pins, &name, program.fd().map_err(|error| chain(&error))?)? {
        return Ok(());
    }
    let interface = if_indextoname(ifindex).map_err(|errno| errno.to_string())?;
    let order = TcAttachOptions::TcxOrder(LinkOrder::default());
    let id = program
        .attach_with_options(&interface.to_string_lossy(), TcAttachType::Ingress, order)
        .map_err(|error| chain(&error))?;
    let link = program.take_link(id).map_err(|error| chain(&error))?;
    replace_pin(pins, &name, link.try_into().map_err(|error: LinkError| chain(&error))?)
}

/// Takes `from_pod` off an interface.
pub(super) fn detach_from_pod(pins: &Pins, ifindex: u32) -> Result<()> {
    pins.drop_link(&format!("{POD}{ifindex}"))
}

/// The interfaces with a pinned link.
pub(super) fn attached_pods(pins: &Pins) -> Result<Vec<u32>> {
    let names = pins.links()?;
    Ok(names.iter().filter_map(|name| name.strip_prefix(POD)?.parse().ok()).collect())
}

/// Swaps the program of a pinned link. False when there is none, or none that is still attached.
fn swap(pins: &Pins, name: &str, program: impl AsFd) -> std::result::Result<bool, String> {
    let link = match sys::open_pin(&pins.link(name)) {
        Ok(link) => link,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(format!("opening the pinned link: {error}")),
    };
    match sys::update_link(link.as_fd(), program.as_fd()) {
        Ok(()) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::ENOLINK) => Ok(false),
        Err(error) => Err(format!("replacing the program: {error}")),
    }
}

/// Pins a link in the place of one that is attached to nothing any more.
fn replace_pin(pins: &Pins, name: &str, link: FdLink) -> std::result::Result<(), String> {
    pins.drop_link(name).map_err(|error| error.to_string())?;
    link.pin(pins.link(name)).map(drop).map_err(|error| chain(&error))
}
