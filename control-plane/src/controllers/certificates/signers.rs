//! Which certificates the cluster's signers give out (upstream `pkg/apis/certificates/helpers.go`
//! and the signer's `isRequestForSignerFn`). Pure.

use std::collections::BTreeSet;

use crate::pki::SigningRequest;

/// For clients of the API.
const CLIENT: &str = "kubernetes.io/kube-apiserver-client";
/// For node agents as clients of the API.
const KUBELET_CLIENT: &str = "kubernetes.io/kube-apiserver-client-kubelet";
/// For node agents as servers.
const KUBELET_SERVING: &str = "kubernetes.io/kubelet-serving";

const NODES: &str = "system:nodes";
const NODE_PREFIX: &str = "system:node:";

/// Whether a signer is one of ours.
pub(super) fn is_known(signer: &str) -> bool {
    [CLIENT, KUBELET_CLIENT, KUBELET_SERVING].contains(&signer)
}

/// Whether a signer gives out what is asked for.
///
/// # Errors
/// Why it does not.
pub(super) fn check(signer: &str, request: &SigningRequest, usages: &[String]) -> Result<(), String> {
    match signer {
        CLIENT => client(usages),
        KUBELET_CLIENT => kubelet_client(request, usages),
        KUBELET_SERVING => kubelet_serving(request, usages),
        _ => Err(format!("{signer} does not sign here")),
    }
}

fn client(usages: &[String]) -> Result<(), String> {
    for usage in usages {
        if !["digital signature", "key encipherment", "client auth"].contains(&usage.as_str()) {
            return Err(format!("invalid usage for client certificate: {usage}"));
        }
    }
    match usages.iter().any(|usage| usage == "client auth") {
        true => Ok(()),
        false => Err("missing required usage for client certificate: client auth".to_owned()),
    }
}

fn kubelet_client(request: &SigningRequest, usages: &[String]) -> Result<(), String> {
    of_nodes(request)?;
    let forbidden = [
        (request.dns_names.is_empty(), "DNS subjectAltNames are not allowed"),
        (request.emails.is_empty(), "Email subjectAltNames are not allowed"),
        (request.addresses.is_empty(), "IP subjectAltNames are not allowed"),
        (request.uris.is_empty(), "URI subjectAltNames are not allowed"),
    ];
    first_wrong(&forbidden)?;
    of_a_node(request)?;
    just(usages, "client auth")
}

fn kubelet_serving(request: &SigningRequest, usages: &[String]) -> Result<(), String> {
    of_nodes(request)?;
    let has_name = !request.dns_names.is_empty() || !request.addresses.is_empty();
    let forbidden = [
        (has_name, "DNS or IP subjectAltName is required"),
        (request.emails.is_empty(), "Email subjectAltNames are not allowed"),
        (request.uris.is_empty(), "URI subjectAltNames are not allowed"),
    ];
    first_wrong(&forbidden)?;
    just(usages, "server auth")?;
    of_a_node(request)
}

fn first_wrong(rules: &[(bool, &str)]) -> Result<(), String> {
    rules.iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, why)| Err((*why).to_owned()))
}

fn of_nodes(request: &SigningRequest) -> Result<(), String> {
    let is_node = request.organizations == [NODES];
    first_wrong(&[(is_node, "subject organization is not system:nodes")])
}

fn of_a_node(request: &SigningRequest) -> Result<(), String> {
    let is_node = request.common_name.starts_with(NODE_PREFIX);
    first_wrong(&[(is_node, "subject common name does not begin with system:node:")])
}

/// The purpose and what keys need for it, and nothing else.
fn just(usages: &[String], purpose: &str) -> Result<(), String> {
    let asked: BTreeSet<&str> = usages.iter().map(String::as_str).collect();
    let mut all = BTreeSet::from(["digital signature", "key encipherment", purpose]);
    let shown: Vec<&str> = all.iter().copied().collect();
    let why = format!("usages did not match [{}]", shown.join(" "));
    let is_rsa = asked == all;
    all.remove("key encipherment");
    if is_rsa || asked == all { Ok(()) } else { Err(why) }
}
