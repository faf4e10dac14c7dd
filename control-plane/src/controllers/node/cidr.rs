//! Which node has which pod addresses. Pure.

use std::{collections::HashSet, net::Ipv4Addr, sync::Arc};

use k8s_openapi::api::core::v1::Node;
use kube::ResourceExt;
use nodeplane_api::meta::Key;
use nodeplane_client::write::Write;
use serde_json::json;
use tracing::warn;

use crate::controllers::caches::row;

/// The prefix length of a node's range.
const NODE_PREFIX: u8 = 24;

/// Gives every node without a range the lowest free one, in the order of their names.
pub(super) fn plan((address, prefix): (Ipv4Addr, u8), nodes: &[Arc<Node>]) -> Vec<Write> {
    let mut taken: HashSet<&str> = nodes.iter().filter_map(|node| range(node)).collect();
    let free: Vec<_> = ranges(address, prefix).collect();
    let mut free = free.iter().filter(|range| !taken.remove(range.as_str()));
    let mut wanting: Vec<_> = nodes.iter().filter(|node| range(node).is_none() && !is_leaving(node)).collect();
    wanting.sort_by_key(|node| node.name_any());
    let mut writes = Vec::new();
    for node in wanting {
        match free.next() {
            Some(range) => writes.push(assign(node, range)),
            None => warn!(node = node.name_any(), "no pod addresses left in the cluster's range"),
        }
    }
    writes
}

fn range(node: &Node) -> Option<&str> {
    node.spec.as_ref()?.pod_cidr.as_deref().filter(|range| !range.is_empty())
}

fn is_leaving(node: &Node) -> bool {
    node.metadata.deletion_timestamp.is_some()
}

/// All ranges of nodes in the cluster's range, lowest first.
fn ranges(address: Ipv4Addr, prefix: u8) -> impl Iterator<Item = String> {
    let mask = u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0);
    let first = u32::from(address) & mask;
    let count = 1_u32 << u32::from(NODE_PREFIX.saturating_sub(prefix)).min(NODE_PREFIX.into());
    let count = if prefix > NODE_PREFIX { 0 } else { count };
    (0..count).map(move |n| format!("{}/{NODE_PREFIX}", Ipv4Addr::from(first | (n << (32 - NODE_PREFIX)))))
}

fn assign(node: &Node, range: &str) -> Write {
    Write::Merge {
        kind: row::<Node>(),
        key: Key::of_meta(&node.metadata),
        part: None,
        patch: json!({
            "metadata": { "uid": node.metadata.uid, "resourceVersion": node.metadata.resource_version },
            "spec": { "podCIDR": range, "podCIDRs": [range] },
        }),
    }
}
