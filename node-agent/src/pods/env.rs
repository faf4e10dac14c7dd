//! The environment of a container (kubelet `makeEnvironmentVariables`). Pure: what it refers to is
//! looked up before.

mod expand;
mod links;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use k8s_openapi::api::core::v1::{ConfigMap, Container, EnvVarSource, Pod, Secret, Service};

pub use self::expand::expand;
use super::{api::Reference, downward::Downward, pod::PodExt};

/// Objects that environments and volumes refer to, as they were found in the pod's namespace.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// ConfigMaps by name; missing ones are absent.
    pub config_maps: HashMap<String, ConfigMap>,
    /// Secrets by name; missing ones are absent.
    pub secrets: HashMap<String, Secret>,
}

/// Names of objects that must be looked up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct References {
    /// Names of ConfigMaps.
    pub config_maps: BTreeSet<String>,
    /// Names of Secrets.
    pub secrets: BTreeSet<String>,
}

impl References {
    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = Reference> {
        let maps = self.config_maps.iter().cloned().map(Reference::ConfigMap);
        maps.chain(self.secrets.iter().cloned().map(Reference::Secret))
    }

    /// These and those.
    pub fn extend(&mut self, other: Self) {
        self.config_maps.extend(other.config_maps);
        self.secrets.extend(other.secrets);
    }
}

/// What a container's environment refers to.
pub fn references(container: &Container) -> References {
    let mut all = References::default();
    for source in container.env_from.iter().flatten() {
        all.config_maps.extend(source.config_map_ref.as_ref().map(|source| source.name.clone()));
        all.secrets.extend(source.secret_ref.as_ref().map(|source| source.name.clone()));
    }
    for source in container.env.iter().flatten().filter_map(|variable| variable.value_from.as_ref()) {
        all.config_maps.extend(source.config_map_key_ref.as_ref().map(|source| source.name.clone()));
        all.secrets.extend(source.secret_key_ref.as_ref().map(|source| source.name.clone()));
    }
    all
}

/// An environment, with what people should be told about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// In order; each name once.
    pub variables: Vec<(String, String)>,
    /// Keys of `envFrom` sources that are no names of variables.
    pub invalid: Vec<String>,
}

impl Environment {
    /// The variables for `$(NAME)` expansion.
    pub fn map(&self) -> BTreeMap<&str, &str> {
        self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    fn set(&mut self, name: &str, value: String) {
        match self.variables.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = value,
            None => self.variables.push((name.to_owned(), value)),
        }
    }
}

/// Puts a container's environment together.
///
/// # Errors
/// The sentence for `CreateContainerConfigError` when something that is not optional is missing.
pub fn resolve(
    pod: &Pod,
    container: &Container,
    services: &[impl AsRef<Service>],
    found: &Found,
    downward: &Downward<'_>,
) -> Result<Environment, String> {
    let mut all = Environment::default();
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let linked = PodExt::spec(pod).enable_service_links != Some(false);
    let links = links::variables(services.iter().map(AsRef::as_ref), namespace, linked);
    from_whole_objects(container, namespace, found, &mut all)?;
    for variable in container.env.iter().flatten() {
        let value = match (&variable.value, &variable.value_from) {
            (_, Some(source)) => match from_source(source, namespace, container, found, downward)? {
                Some(value) => value,
                None => continue,
            },
            (value, None) => {
                let mut known: BTreeMap<&str, &str> =
                    links.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
                known.extend(all.map());
                expand(value.as_deref().unwrap_or_default(), &known)
            }
        };
        all.set(&variable.name, value);
    }
    for (name, value) in links {
        if !all.variables.iter().any(|(known, _)| *known == name) {
            all.variables.push((name, value));
        }
    }
    Ok(all)
}

fn from_whole_objects(
    container: &Container,
    namespace: &str,
    found: &Found,
    all: &mut Environment,
) -> Result<(), String> {
    for source in container.env_from.iter().flatten() {
        let prefix = source.prefix.as_deref().unwrap_or_default();
        let mut pairs: Vec<(String, String)> = Vec::new();
        if let Some(reference) = &source.config_map_ref {
            match found.config_maps.get(&reference.name) {
                Some(object) => pairs.extend(object.data.iter().flatten().map(|(k, v)| (k.clone(), v.clone()))),
                None if reference.optional == Some(true) => {}
                None => return Err(format!("configmap \"{}\" not found", reference.name)),
            }
        }
        if let Some(reference) = &source.secret_ref {
            match found.secrets.get(&reference.name) {
                Some(object) => {
                    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                    pairs.extend(object.data.iter().flatten().map(|(k, v)| (k.clone(), text(&v.0))));
                }
                None if reference.optional == Some(true) => {}
                None => return Err(format!("secret \"{}\" not found", reference.name)),
            }
        }
        tracing::trace!(namespace, pairs = pairs.len(), "whole object as environment");
        for (key, value) in pairs {
            let name = format!("{prefix}{key}");
            if is_variable_name(&name) {
                all.set(&name, value);
            } else {
                all.invalid.push(name);
            }
        }
    }
    Ok(())
}

fn from_source(
    source: &EnvVarSource,
    namespace: &str,
    container: &Container,
    found: &Found,
    downward: &Downward<'_>,
) -> Result<Option<String>, String> {
    if let Some(field) = &source.field_ref {
        return downward.field(&field.field_path).map(Some);
    }
    if let Some(resource) = &source.resource_field_ref {
        return downward.resource(resource, Some(container)).map(Some);
    }
    if let Some(key) = &source.config_map_key_ref {
        let optional = key.optional == Some(true);
        let Some(object) = found.config_maps.get(&key.name) else {
            return missing(optional, || format!("configmap \"{}\" not found", key.name));
        };
        return match object.data.as_ref().and_then(|data| data.get(&key.key)) {
            Some(value) => Ok(Some(value.clone())),
            None => {
                missing(optional, || format!("couldn't find key {} in ConfigMap {namespace}/{}", key.key, key.name))
            }
        };
    }
    if let Some(key) = &source.secret_key_ref {
        let optional = key.optional == Some(true);
        let Some(object) = found.secrets.get(&key.name) else {
            return missing(optional, || format!("secret \"{}\" not found", key.name));
        };
        return match object.data.as_ref().and_then(|data| data.get(&key.key)) {
            Some(value) => Ok(Some(String::from_utf8_lossy(&value.0).into_owned())),
            None => missing(optional, || format!("couldn't find key {} in Secret {namespace}/{}", key.key, key.name)),
        };
    }
    Ok(None)
}

fn missing(optional: bool, sentence: impl FnOnce() -> String) -> Result<Option<String>, String> {
    if optional { Ok(None) } else { Err(sentence()) }
}

/// What Kubernetes 1.33 takes: printable ASCII without `=`.
fn is_variable_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b'=')
}

#[cfg(test)]
mod tests;
