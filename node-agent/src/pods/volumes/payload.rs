//! The files of a projected volume. Pure.

use std::collections::{BTreeMap, HashMap};

use k8s_openapi::{
    ByteString,
    api::core::v1::{ConfigMap, DownwardAPIVolumeFile, KeyToPath, Secret, Volume, VolumeProjection},
};

use crate::pods::{
    downward::Downward,
    env::{Found, References},
};

/// Mode of files when nothing else is said.
const DEFAULT_MODE: i32 = 0o644;

/// Tokens by volume name and path in the volume.
pub type Tokens = HashMap<(String, String), String>;

/// One file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct File {
    pub(super) content: Vec<u8>,
    /// Permission bits.
    pub(super) mode: u32,
}

/// Files by their path in the volume.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Payload(pub(super) BTreeMap<String, File>);

/// What the volumes of a pod refer to.
pub fn references(volumes: &[Volume]) -> References {
    let mut all = References::default();
    for volume in volumes {
        all.config_maps.extend(volume.config_map.as_ref().map(|source| source.name.clone()));
        all.secrets.extend(volume.secret.as_ref().and_then(|source| source.secret_name.clone()));
        for source in volume.projected.iter().flat_map(|projected| &projected.sources).flatten() {
            all.config_maps.extend(source.config_map.as_ref().map(|source| source.name.clone()));
            all.secrets.extend(source.secret.as_ref().map(|source| source.name.clone()));
        }
    }
    all
}

impl Payload {
    /// The files of a volume; nothing when the volume projects no files.
    pub(super) fn of(
        volume: &Volume,
        found: &Found,
        tokens: &Tokens,
        downward: &Downward<'_>,
    ) -> Result<Option<Self>, String> {
        let mut all = Self::default();
        if let Some(source) = &volume.config_map {
            let mode = source.default_mode;
            all.config_map(&source.name, source.items.as_deref(), source.optional, mode, found)?;
        } else if let Some(source) = &volume.secret {
            let name = source.secret_name.as_deref().unwrap_or_default();
            all.secret(name, source.items.as_deref(), source.optional, source.default_mode, found)?;
        } else if let Some(source) = &volume.downward_api {
            all.downward(source.items.as_deref(), source.default_mode, downward)?;
        } else if let Some(source) = &volume.projected {
            for part in source.sources.iter().flatten() {
                all.projection(&volume.name, part, source.default_mode, found, tokens, downward)?;
            }
        } else {
            return Ok(None);
        }
        Ok(Some(all))
    }

    fn projection(
        &mut self,
        volume: &str,
        part: &VolumeProjection,
        mode: Option<i32>,
        found: &Found,
        tokens: &Tokens,
        downward: &Downward<'_>,
    ) -> Result<(), String> {
        if let Some(source) = &part.config_map {
            self.config_map(&source.name, source.items.as_deref(), source.optional, mode, found)?;
        }
        if let Some(source) = &part.secret {
            self.secret(&source.name, source.items.as_deref(), source.optional, mode, found)?;
        }
        if let Some(source) = &part.downward_api {
            self.downward(source.items.as_deref(), mode, downward)?;
        }
        if let Some(source) = &part.service_account_token {
            let token = tokens.get(&(volume.to_owned(), source.path.clone())).cloned().unwrap_or_default();
            self.put(&source.path, token.into_bytes(), None, mode)?;
        }
        if part.cluster_trust_bundle.is_some() {
            return Err("clusterTrustBundle projections are not supported on this node".to_owned());
        }
        Ok(())
    }

    fn config_map(
        &mut self,
        name: &str,
        items: Option<&[KeyToPath]>,
        optional: Option<bool>,
        mode: Option<i32>,
        found: &Found,
    ) -> Result<(), String> {
        let object: Option<&ConfigMap> = found.config_maps.get(name);
        if object.is_none() && optional != Some(true) {
            return Err(format!("configmap \"{name}\" not found"));
        }
        let mut data: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        if let Some(object) = object {
            data.extend(object.data.iter().flatten().map(|(key, value)| (key.clone(), value.clone().into_bytes())));
            data.extend(object.binary_data.iter().flatten().map(|(key, value)| (key.clone(), value.0.clone())));
        }
        self.keys(&data, items, optional, mode)
    }

    fn secret(
        &mut self,
        name: &str,
        items: Option<&[KeyToPath]>,
        optional: Option<bool>,
        mode: Option<i32>,
        found: &Found,
    ) -> Result<(), String> {
        let object: Option<&Secret> = found.secrets.get(name);
        if object.is_none() && optional != Some(true) {
            return Err(format!("secret \"{name}\" not found"));
        }
        let pairs = object.into_iter().flat_map(|object| object.data.iter().flatten());
        let data = pairs.map(|(key, ByteString(value))| (key.clone(), value.clone())).collect();
        self.keys(&data, items, optional, mode)
    }

    fn keys(
        &mut self,
        data: &BTreeMap<String, Vec<u8>>,
        items: Option<&[KeyToPath]>,
        optional: Option<bool>,
        mode: Option<i32>,
    ) -> Result<(), String> {
        let Some(items) = items.filter(|items| !items.is_empty()) else {
            for (key, content) in data {
                self.put(key, content.clone(), None, mode)?;
            }
            return Ok(());
        };
        for item in items {
            match data.get(&item.key) {
                Some(content) => self.put(&item.path, content.clone(), item.mode, mode)?,
                None if optional == Some(true) => {}
                None => return Err(format!("references non-existent config key: {}", item.key)),
            }
        }
        Ok(())
    }

    fn downward(
        &mut self,
        items: Option<&[DownwardAPIVolumeFile]>,
        mode: Option<i32>,
        downward: &Downward<'_>,
    ) -> Result<(), String> {
        for item in items.unwrap_or_default() {
            let value = match (&item.field_ref, &item.resource_field_ref) {
                (Some(field), _) => downward.field(&field.field_path)?,
                (None, Some(resource)) => downward.resource(resource, None)?,
                (None, None) => continue,
            };
            self.put(&item.path, value.into_bytes(), item.mode, mode)?;
        }
        Ok(())
    }

    fn put(&mut self, path: &str, content: Vec<u8>, mode: Option<i32>, default: Option<i32>) -> Result<(), String> {
        // Names that begin with two dots are the volume's own.
        let leads_out = path.starts_with("..") || path.split('/').any(|part| part == ".." || part.is_empty());
        if leads_out {
            return Err(format!("invalid path: {path}"));
        }
        let mode = mode.or(default).unwrap_or(DEFAULT_MODE);
        self.0.insert(path.to_owned(), File { content, mode: mode.unsigned_abs() & 0o777 });
        Ok(())
    }
}
