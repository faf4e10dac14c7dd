//! Where in the cluster domain a name lies, by its form alone (Kubernetes DNS specification 2).
//!
//! In: the labels in front of the cluster domain. Out: a [`Place`]. Knows nothing of what
//! exists; letters match in any case.

use crate::zone::facts::Protocol;

/// Where a name lies. Service keys are `name.namespace` in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place<'a> {
    /// The cluster domain itself.
    Apex,
    /// `dns-version`.
    Version,
    /// `dns`, `svc` and `pod`: names that are there for what is below them.
    Branch,
    /// `ns.dns`: this server when no service stands in front of it.
    NameServer,
    /// `namespace.svc` or `namespace.pod`.
    Namespace(String),
    /// `a-b-c-d.namespace.pod`.
    PodAddress { label: &'a [u8], namespace: String },
    /// `service.namespace.svc`.
    Service(String),
    /// `endpoint.service.namespace.svc`.
    Endpoint { label: &'a [u8], key: String },
    /// `_proto.service.namespace.svc`: there for the ports below it.
    Protocol { protocol: Protocol, key: String },
    /// `_port._proto.service.namespace.svc`.
    Port { port: String, protocol: Protocol, key: String },
    /// No form that has a meaning.
    Nowhere,
}

/// The place of a name whose labels in front of the cluster domain are `labels`.
pub(super) fn place<'a>(labels: &[&'a [u8]]) -> Place<'a> {
    find(labels).unwrap_or(Place::Nowhere)
}

fn find<'a>(labels: &[&'a [u8]]) -> Option<Place<'a>> {
    Some(match labels {
        [] => Place::Apex,
        [only] if is(only, "dns-version") => Place::Version,
        [only] if ["svc", "pod", "dns"].iter().any(|branch| is(only, branch)) => Place::Branch,
        [ns, dns] if is(ns, "ns") && is(dns, "dns") => Place::NameServer,
        [namespace, pod] if is(pod, "pod") => Place::Namespace(text(namespace)?),
        [label, namespace, pod] if is(pod, "pod") => Place::PodAddress { label, namespace: text(namespace)? },
        [inner @ .., svc] if is(svc, "svc") => in_services(inner)?,
        _ => return None,
    })
}

fn in_services<'a>(labels: &[&'a [u8]]) -> Option<Place<'a>> {
    let [inner @ .., service, namespace] = labels else {
        return match labels {
            [namespace] => Some(Place::Namespace(text(namespace)?)),
            _ => None,
        };
    };
    let key = key(service, namespace)?;
    Some(match inner {
        [] => Place::Service(key),
        [label] if label.starts_with(b"_") => Place::Protocol { protocol: Protocol::from_label(label)?, key },
        [label] => Place::Endpoint { label, key },
        [port, protocol] => {
            Place::Port { port: text(port.strip_prefix(b"_")?)?, protocol: Protocol::from_label(protocol)?, key }
        }
        _ => return None,
    })
}

fn is(label: &[u8], text: &str) -> bool {
    label.eq_ignore_ascii_case(text.as_bytes())
}

fn key(service: &[u8], namespace: &[u8]) -> Option<String> {
    let (service, namespace) = (plain(service)?, plain(namespace)?);
    let mut key = String::with_capacity(service.len() + 1 + namespace.len());
    key.push_str(service);
    key.push('.');
    key.push_str(namespace);
    key.make_ascii_lowercase();
    Some(key)
}

fn text(label: &[u8]) -> Option<String> {
    plain(label).map(str::to_ascii_lowercase)
}

/// A label that can be part of a key; nothing when it could be mistaken for two.
fn plain(label: &[u8]) -> Option<&str> {
    str::from_utf8(label).ok().filter(|text| !text.is_empty() && !text.contains('.'))
}

#[cfg(test)]
mod tests;
