//! What holds before any pod runs: nothing for the cluster's ranges ever leaves this machine.
//!
//! Routes that lead nowhere lie under both ranges. A pod has a longer route, and a Service is translated before routes
//! are asked; so the nowhere is only for what nobody has. Made first, removed last.

use std::net::Ipv4Addr;

use tracing::{info, warn};

use super::{
    Error, Result,
    cidr::Cidr,
    netlink::{Netlink, Route, Way},
    state::State,
    sysctl,
};

/// Where the node's own address is put: every machine has this link, and nobody manages its addresses.
const LOOPBACK: &str = "lo";
/// The label of that address.
const LABEL: &str = "lo:nodeplane";

/// Lets nothing for `ranges` leave the machine, but by routes to pods.
///
/// # Errors
/// A route of somebody else leads into one of the ranges; or the kernel refuses.
pub(super) async fn close(netlink: &Netlink, ranges: &[Cidr]) -> Result<()> {
    let routes = netlink.routes().await?;
    // Closed also when somebody else's route is in the way: the others must not wait for that.
    for range in ranges {
        let closed = Route { to: *range, way: Way::Unreachable, is_ours: true };
        let taken = routes.iter().any(|route| route.to == *range && !route.is_ours);
        if !taken && !routes.contains(&closed) {
            netlink.put_route(*range, Way::Unreachable).await?;
            info!(%range, "unassigned addresses of the range are unreachable");
        }
    }
    match routes.iter().find(|route| !route.is_ours && ranges.iter().any(|range| range.covers(&route.to))) {
        Some(route) => Err(Error::Conflict { route: route.to, way: describe(route.way) }),
        None => Ok(()),
    }
}

fn describe(way: Way) -> String {
    match way {
        Way::Link { index, gateway: Some(gateway), .. } => format!("by {gateway} on link {index}"),
        Way::Link { index, .. } => format!("on link {index}"),
        Way::Unreachable | Way::Other => "of another program".into(),
    }
}

/// Gives the node its own address of its pod range: pods reach the node by it, and the node speaks to pods from it.
pub(super) async fn ensure_gateway(netlink: &Netlink, gateway: Ipv4Addr) -> Result<()> {
    let loopback = loopback(netlink).await?;
    for other in netlink.labelled_addresses(LABEL).await?.into_iter().filter(|address| *address != gateway) {
        netlink.delete_address(loopback, other).await?;
    }
    netlink.put_host_address(loopback, gateway, LABEL).await
}

/// Lets the machine forward packets, and remembers whether it did.
pub(super) fn ensure_forwarding(state: &State) -> Result<()> {
    let now = sysctl::read(sysctl::IP_FORWARD)?;
    state.remember_forwarding(&now)?;
    if now != "1" {
        sysctl::write(sysctl::IP_FORWARD, "1")?;
        info!("IPv4 forwarding is on");
    }
    Ok(())
}

/// Takes the node's own address away.
pub(super) async fn remove_gateway(netlink: &Netlink) -> Result<()> {
    let loopback = loopback(netlink).await?;
    for address in netlink.labelled_addresses(LABEL).await? {
        netlink.delete_address(loopback, address).await?;
    }
    Ok(())
}

/// Removes our routes, those that lead nowhere last.
pub(super) async fn remove_routes(netlink: &Netlink) -> Result<()> {
    let (closed, others): (Vec<Route>, Vec<Route>) = netlink
        .routes()
        .await?
        .into_iter()
        .filter(|route| route.is_ours)
        .partition(|route| route.way == Way::Unreachable);
    for route in others.into_iter().chain(closed) {
        netlink.delete_route(route.to, route.way).await?;
    }
    Ok(())
}

/// Restores what the machine did before us about forwarding. It stays on where others `need` it: they found it on, and
/// would not turn it on again.
pub(super) fn restore_forwarding(state: &State, need: Option<&str>) -> Result<()> {
    if let Some(before) = state.forwarding()?
        && sysctl::read(sysctl::IP_FORWARD)? != before
    {
        if let Some(need) = need.filter(|_| before == "0") {
            warn!("IPv4 forwarding was off before and stays on, because {need}");
            return state.forget();
        }
        sysctl::write(sysctl::IP_FORWARD, &before)?;
        info!(value = before, "IPv4 forwarding is as it was");
    }
    state.forget()
}

async fn loopback(netlink: &Netlink) -> Result<u32> {
    let link = netlink.link(LOOPBACK).await?;
    link.map(|link| link.index).ok_or_else(|| Error::Lost { link: LOOPBACK.into() })
}
