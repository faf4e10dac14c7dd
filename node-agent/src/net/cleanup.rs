//! Takes the network away, whatever is left of it.

use std::path::Path;

use tracing::{debug, info};

use super::{Error, Result, firewall, guard, names, netlink::Netlink, state::State};

/// Removes links, rules, addresses and routes, and restores what the machine did before. Goes on after a failure; the
/// routes that lead nowhere go last. No pod may run any more.
pub async fn cleanup(state_dir: &Path) -> Vec<Error> {
    let netlink = match Netlink::open() {
        Ok(netlink) => netlink,
        Err(error) => return vec![error],
    };
    let state = State::in_folder(state_dir);
    let mut errors = remove_links(&netlink).await;
    let steps: [Result<()>; 4] = [
        firewall::remove().await,
        guard::remove_gateway(&netlink).await,
        guard::restore_forwarding(&state),
        guard::remove_routes(&netlink).await,
    ];
    errors.extend(steps.into_iter().filter_map(Result::err));
    info!(failures = errors.len(), "pod network removed");
    errors
}

async fn remove_links(netlink: &Netlink) -> Vec<Error> {
    let links = match netlink.links().await {
        Ok(links) => links,
        Err(error) => return vec![error],
    };
    let mut errors = Vec::new();
    for link in links.iter().filter(|link| names::is_ours(&link.name)) {
        match netlink.delete_link(link.index).await {
            Ok(()) => debug!(link = link.name, "link removed"),
            Err(error) => errors.push(error),
        }
    }
    errors
}
