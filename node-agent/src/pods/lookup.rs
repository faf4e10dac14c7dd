//! Reads what environments and volumes refer to.

use futures::future::try_join_all;

use super::{
    api::{ApiError, PodApi},
    env::{Found, References},
};

/// Reads all of them at once. What does not exist is absent from the answer.
pub(super) async fn find(api: &dyn PodApi, namespace: &str, wanted: &References) -> Result<Found, ApiError> {
    let maps = wanted
        .config_maps
        .iter()
        .map(|name| async move { Ok(api.config_map(namespace, name).await?.map(|object| (name.clone(), object))) });
    let secrets = wanted
        .secrets
        .iter()
        .map(|name| async move { Ok(api.secret(namespace, name).await?.map(|object| (name.clone(), object))) });
    let (maps, secrets) = tokio::try_join!(try_join_all(maps), try_join_all(secrets))?;
    Ok(Found { config_maps: maps.into_iter().flatten().collect(), secrets: secrets.into_iter().flatten().collect() })
}
