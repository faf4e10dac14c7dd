//! Upstream's control plane, started by hand: what it is told, and certificates for it.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use base64::{Engine, engine::general_purpose::STANDARD};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use serde_json::json;

use super::{Member, Trust};
use crate::{Flags, kubeconfig::Kubeconfig};

/// Where its kubeconfig is, for those that belong to it.
const KUBECONFIG: &str = "peer.kubeconfig";

/// kube-apiserver over an etcd.
pub(super) fn command(flags: &Flags, dir: &Path, address: SocketAddr, etcd: &str) -> Result<(Command, Trust)> {
    let own = Files::make(dir, address)?;
    let mut command = Command::new(program(flags, "kube-apiserver")?);
    command.args(["--etcd-servers", etcd, "--bind-address", "127.0.0.1", "--advertise-address", "127.0.0.1"]);
    command.args(["--secure-port", &address.port().to_string(), "--authorization-mode", "Node,RBAC"]);
    command.args([
        "--service-cluster-ip-range",
        "10.96.0.0/16",
        "--service-account-issuer",
        "https://kubernetes.default",
    ]);
    for (flag, file) in [
        ("--cert-dir", "."),
        ("--client-ca-file", "ca.crt"),
        ("--tls-cert-file", "serving.crt"),
        ("--tls-private-key-file", "serving.key"),
        ("--service-account-key-file", "tokens.pub"),
        ("--service-account-signing-key-file", "tokens.key"),
    ] {
        command.arg(flag).arg(dir.join(file));
    }
    if mover(flags, "kube-controller-manager").is_none() {
        // Nobody makes the accounts that it would ask for.
        command.args(["--disable-admission-plugins", "ServiceAccount"]);
    }
    Ok((command, Trust::Known(own.kubeconfig)))
}

/// The rest of the control plane, as far as it is there.
pub(super) fn movers(flags: &Flags, dir: &Path, address: SocketAddr) -> Result<Vec<Member>> {
    let mut members = Vec::new();
    for name in ["kube-controller-manager", "kube-scheduler"] {
        let Some(path) = mover(flags, name) else { continue };
        let mut command = Command::new(path);
        for flag in ["--kubeconfig", "--authentication-kubeconfig", "--authorization-kubeconfig"] {
            command.arg(flag).arg(dir.join(KUBECONFIG));
        }
        command.args(["--bind-address", "127.0.0.1", "--secure-port", "0", "--leader-elect=false"]);
        command.args(["--master", &format!("https://{address}")]);
        if name == "kube-controller-manager" {
            command.arg("--service-account-private-key-file").arg(dir.join("tokens.key"));
            command.arg("--root-ca-file").arg(dir.join("ca.crt"));
        }
        members.push(Member::start(name, command, dir)?);
    }
    Ok(members)
}

fn program(flags: &Flags, name: &str) -> Result<PathBuf> {
    Ok(flags.peer_dir.as_ref().context("--peer-dir DIR is missing")?.join(name))
}

fn mover(flags: &Flags, name: &str) -> Option<PathBuf> {
    program(flags, name).ok().filter(|path| path.exists())
}

/// Certificates and keys for the server, and who the administrator is.
struct Files {
    kubeconfig: Kubeconfig,
}

impl Files {
    fn make(dir: &Path, address: SocketAddr) -> Result<Self> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "load");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let authority = params.self_signed(&key)?.pem();
        let issuer = Issuer::new(params, key);
        let serving =
            issue(&issuer, "kube-apiserver", ExtendedKeyUsagePurpose::ServerAuth, vec!["127.0.0.1".to_owned()])?;
        let admin = issue(&issuer, "admin", ExtendedKeyUsagePurpose::ClientAuth, Vec::new())?;
        let tokens = KeyPair::generate()?;
        for (name, text) in [
            ("ca.crt", &authority),
            ("serving.crt", &serving.0),
            ("serving.key", &serving.1),
            ("tokens.key", &tokens.serialize_pem()),
            ("tokens.pub", &tokens.public_key_pem()),
            (KUBECONFIG, &written(&authority, &admin, address)),
        ] {
            fs::write(dir.join(name), text)?;
        }
        Ok(Self { kubeconfig: Kubeconfig::read(&dir.join(KUBECONFIG))? })
    }
}

/// A certificate and its key.
fn issue(
    issuer: &Issuer<'_, KeyPair>,
    user: &str,
    usage: ExtendedKeyUsagePurpose,
    names: Vec<String>,
) -> Result<(String, String)> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::OrganizationName, "system:masters");
    params.distinguished_name.push(DnType::CommonName, user);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![usage];
    Ok((params.signed_by(&key, issuer)?.pem(), key.serialize_pem()))
}

/// A kubeconfig; JSON is YAML.
fn written(authority: &str, (certificate, key): &(String, String), address: SocketAddr) -> String {
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "load",
        "contexts": [{ "name": "load", "context": { "cluster": "load", "user": "admin" } }],
        "clusters": [{ "name": "load", "cluster": {
            "server": format!("https://{address}"), "certificate-authority-data": STANDARD.encode(authority),
        } }],
        "users": [{ "name": "admin", "user": {
            "client-certificate-data": STANDARD.encode(certificate), "client-key-data": STANDARD.encode(key),
        } }],
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_for_a_peer_can_be_dialled_with() {
        let dir = tempfile::tempdir().unwrap();
        let files = Files::make(dir.path(), ([127, 0, 0, 1], 6443).into()).unwrap();
        assert_eq!(files.kubeconfig.authority, fs::read(dir.path().join("ca.crt")).unwrap());
        files.kubeconfig.tls().unwrap();
        let token_key = fs::read_to_string(dir.path().join("tokens.pub")).unwrap();
        assert!(token_key.starts_with("-----BEGIN PUBLIC KEY-----"), "{token_key}");
    }
}
