//! Who asks a registry for a pod's image (kubelet `credentialprovider`). Pure.
//!
//! In: the pod's `imagePullSecrets` and an image. Out: what fits, the most exact first.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use k8s_openapi::api::core::v1::Secret;
use serde::Deserialize;

use super::runtime::Credentials;

/// What Docker Hub calls itself in credentials.
const HUB: &str = "index.docker.io";

/// `.dockerconfigjson`.
#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    username: String,
    password: String,
    auth: String,
    identitytoken: String,
}

/// The credentials in a secret that fit an image; nothing when the secret holds none at all.
pub(super) fn fitting(secret: &Secret, image: &str) -> Option<Vec<Credentials>> {
    let text = |key: &str| secret.data.as_ref().and_then(|data| data.get(key)).map(|bytes| bytes.0.as_slice());
    let entries = match secret.type_.as_deref() {
        Some("kubernetes.io/dockerconfigjson") => {
            serde_json::from_slice::<Config>(text(".dockerconfigjson")?).ok()?.auths
        }
        Some("kubernetes.io/dockercfg") => serde_json::from_slice(text(".dockercfg")?).ok()?,
        _ => return None,
    };
    let wanted = of_image(image);
    let mut found: Vec<(String, Credentials)> = entries
        .into_iter()
        .map(|(server, entry)| (of_server(&server), credentials(server, entry)))
        .filter(|(key, _)| fits(key, &wanted))
        .collect();
    // The longest way names the registry most exactly.
    found.sort_by(|(a, _), (b, _)| b.cmp(a));
    Some(found.into_iter().map(|(_, credentials)| credentials).collect())
}

fn credentials(server: String, entry: Entry) -> Credentials {
    let Entry { mut username, mut password, auth, identitytoken } = entry;
    let decoded = STANDARD.decode(auth.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    if let Some((name, word)) = decoded.as_deref().and_then(|pair| pair.split_once(':')) {
        (username, password) = (name.to_owned(), word.to_owned());
    }
    Credentials { server, username, password, identity_token: identitytoken }
}

/// `host[:port]/path` of an image, without its tag and digest.
fn of_image(image: &str) -> String {
    let name = image.split('@').next().unwrap_or_default();
    let name = match name.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => name,
    };
    match name.split_once('/') {
        Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => format!("{}/{path}", hub(host)),
        _ => format!("{HUB}/{name}"),
    }
}

/// The same of a registry: `https://host/v1/` is `host`.
fn of_server(server: &str) -> String {
    let server = server.trim_start_matches("https://").trim_start_matches("http://").trim_end_matches('/');
    let server = server.strip_suffix("/v1").or(server.strip_suffix("/v2")).unwrap_or(server);
    match server.split_once('/') {
        Some((host, path)) => format!("{}/{path}", hub(host)),
        None => hub(server).to_owned(),
    }
}

fn hub(host: &str) -> &str {
    if host == "docker.io" { HUB } else { host }
}

/// Whether a registry, in whose host name `*` stands for anything within a part, serves an image.
fn fits(server: &str, image: &str) -> bool {
    let split =
        |text: &str| text.split_once('/').map_or((text.to_owned(), String::new()), |(a, b)| (a.into(), b.into()));
    let ((host, path), (of_image, way)) = (split(server), split(image));
    let (parts, wanted): (Vec<&str>, Vec<&str>) = (host.split('.').collect(), of_image.split('.').collect());
    parts.len() == wanted.len()
        && parts.iter().zip(wanted).all(|(glob, part)| is_like(glob, part))
        && way.starts_with(&path)
}

fn is_like(glob: &str, part: &str) -> bool {
    match glob.split_once('*') {
        None => glob == part,
        Some((start, rest)) => part
            .strip_prefix(start)
            .is_some_and(|tail| (0..=tail.len()).any(|cut| tail.get(cut..).is_some_and(|tail| is_like(rest, tail)))),
    }
}

#[cfg(test)]
mod tests;
