//! Programs that use the API without `kubectl`.

use anyhow::{Result, ensure};
use nodeplane_tests::bed::cluster::Cluster;

use super::scenarios;
use crate::clients;

scenarios![the_official_python_client_works, kube_rs_works];

fn the_official_python_client_works(cluster: &Cluster, ns: &str) -> Result<()> {
    let said = clients::python(cluster, ns)?;
    ensure!(said == "ok\n", "{said}");
    Ok(())
}

fn kube_rs_works(cluster: &Cluster, ns: &str) -> Result<()> {
    clients::kube_rs(cluster, ns)?;
    Ok(())
}
