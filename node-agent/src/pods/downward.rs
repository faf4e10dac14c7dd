//! What a pod may know about itself: fields and resources (`fieldpath`, `resource` helpers
//! upstream). Pure.

use std::net::Ipv4Addr;

use k8s_openapi::api::core::v1::{Container, Pod, ResourceFieldSelector};

use super::{
    pod::PodExt,
    resources::{self, Allocatable},
};

/// A pod with what its object does not know yet.
#[derive(Clone, Copy, Debug)]
pub struct Downward<'a> {
    /// The pod.
    pub pod: &'a Pod,
    /// Its address.
    pub address: Option<Ipv4Addr>,
    /// The node's address.
    pub host: Ipv4Addr,
    /// Stands in for limits that are not set.
    pub node: Allocatable,
}

impl Downward<'_> {
    /// The value of a field such as `metadata.labels['app']`.
    ///
    /// # Errors
    /// A sentence when there is no such field.
    pub fn field(&self, path: &str) -> Result<String, String> {
        let meta = &self.pod.metadata;
        let spec = PodExt::spec(self.pod);
        if let Some((map, key)) = subscript(path) {
            let entries = match map {
                "metadata.labels" => &meta.labels,
                "metadata.annotations" => &meta.annotations,
                _ => return Err(format!("fieldPath \"{path}\" does not support subscript")),
            };
            return Ok(entries.as_ref().and_then(|map| map.get(key)).cloned().unwrap_or_default());
        }
        let address = || {
            let own = if self.pod.host_namespaces().network { Some(self.host) } else { self.address };
            own.map(|address| address.to_string()).unwrap_or_default()
        };
        Ok(match path {
            "metadata.name" => meta.name.clone().unwrap_or_default(),
            "metadata.namespace" => meta.namespace.clone().unwrap_or_default(),
            "metadata.uid" => meta.uid.clone().unwrap_or_default(),
            "metadata.labels" => lines(meta.labels.as_ref()),
            "metadata.annotations" => lines(meta.annotations.as_ref()),
            "spec.nodeName" => spec.node_name.clone().unwrap_or_default(),
            "spec.serviceAccountName" => spec.service_account_name.clone().unwrap_or_default(),
            "status.hostIP" | "status.hostIPs" => self.host.to_string(),
            "status.podIP" | "status.podIPs" => address(),
            _ => return Err(format!("unsupported fieldPath: {path}")),
        })
    }

    /// The value of a resource such as `limits.memory`, in units of the divisor, rounded up.
    /// `container` is used when the selector names none.
    ///
    /// # Errors
    /// A sentence when there is no such container or resource.
    pub fn resource(&self, selector: &ResourceFieldSelector, container: Option<&Container>) -> Result<String, String> {
        let spec = PodExt::spec(self.pod);
        let named = selector.container_name.as_deref().filter(|name| !name.is_empty());
        let container = match named {
            Some(name) => spec.containers.iter().chain(self.pod.inits()).find(|container| container.name == name),
            None => container,
        };
        let container = container
            .ok_or_else(|| format!("container {} not found", selector.container_name.as_deref().unwrap_or_default()))?;
        let unsupported = || format!("unsupported container resource : {}", selector.resource);
        let (kind, name) = selector.resource.split_once('.').ok_or_else(unsupported)?;
        let limits = match kind {
            "limits" => true,
            "requests" => false,
            _ => return Err(unsupported()),
        };
        let asked = resources::asked(container, limits, name).and_then(resources::nano);
        let spare: i128 = match (name, limits) {
            ("cpu", true) => i128::from(self.node.milli_cpu) * 1_000_000,
            ("memory", true) => i128::from(self.node.memory) * 1_000_000_000,
            ("ephemeral-storage", true) => i128::from(self.node.storage) * 1_000_000_000,
            (_, false) => 0,
            _ => return Err(unsupported()),
        };
        let divisor = selector.divisor.as_ref().and_then(|divisor| resources::nano(&divisor.0));
        let divisor = divisor.filter(|divisor| *divisor > 0).unwrap_or(1_000_000_000);
        let amount = asked.unwrap_or(spare);
        Ok((amount.div_euclid(divisor) + i128::from(amount.rem_euclid(divisor) > 0)).to_string())
    }
}

/// `map['key']` taken apart.
fn subscript(path: &str) -> Option<(&str, &str)> {
    let (map, key) = path.strip_suffix("']")?.split_once("['")?;
    Some((map, key))
}

/// `key="value"` lines, sorted, the values quoted as Go does.
fn lines(map: Option<&std::collections::BTreeMap<String, String>>) -> String {
    let all: Vec<String> = map.into_iter().flatten().map(|(key, value)| format!("{key}={value:?}")).collect();
    all.join("\n")
}
