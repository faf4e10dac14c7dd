//! Volumes: what pods find in their file systems.

use anyhow::{Result, ensure};
use nodeplane_tests::bed::{
    cluster::{Cluster, PATIENCE},
    wait,
};
use serde_json::json;

use super::{
    pod,
    pods::{SETTINGS, finished},
    scenarios,
};

scenarios![
    config_maps_and_secrets_are_files,
    an_empty_dir_is_shared_between_containers,
    a_host_path_is_mounted,
    a_changed_config_map_changes_the_file,
    an_empty_dir_in_memory_outlives_a_restart,
];

fn config_maps_and_secrets_are_files(cluster: &Cluster, ns: &str) -> Result<()> {
    cluster.apply(ns, SETTINGS)?;
    let manifest = pod("files", "cat /settings/color /keys/pw; stat -c %a /keys/pw", |spec| {
        spec["volumes"] = json!([
            { "name": "settings", "configMap": { "name": "settings" } },
            { "name": "keys", "secret": { "secretName": "keys", "items": [{ "key": "password", "path": "pw", "mode": 0o400 }] } },
        ]);
        spec["containers"][0]["volumeMounts"] = json!([
            { "name": "settings", "mountPath": "/settings" },
            { "name": "keys", "mountPath": "/keys", "readOnly": true },
        ]);
        spec["containers"][0]["command"][2] =
            "cat /settings/color; echo; cat /keys/pw; echo; stat -L -c %a /keys/pw".into();
    });
    cluster.apply(ns, &manifest)?;
    let log = finished(cluster, ns, "files")?;
    ensure!(log == "blue\nhunter2\n400\n", "{log}");
    Ok(())
}

fn an_empty_dir_is_shared_between_containers(cluster: &Cluster, ns: &str) -> Result<()> {
    let manifest = pod("shared", "until cat /b/word; do sleep 0.1; done", |spec| {
        spec["volumes"] = json!([{ "name": "v", "emptyDir": {} }]);
        spec["containers"][0]["volumeMounts"] = json!([{ "name": "v", "mountPath": "/b" }]);
        let mut writer = spec["containers"][0].clone();
        writer["name"] = "writer".into();
        writer["command"][2] =
            "echo passed > /a/word.tmp; mv /a/word.tmp /a/word || busybox mv /a/word.tmp /a/word".into();
        writer["volumeMounts"][0]["mountPath"] = "/a".into();
        spec["containers"] = json!([spec["containers"][0], writer]);
    });
    cluster.apply(ns, &manifest)?;
    wait::eventually("both containers have ended", PATIENCE, || {
        let log = cluster.run(&["logs", "-n", ns, "shared", "-c", "main"])?;
        ensure!(log.contains("passed"), "{log}");
        Ok(())
    })
}

fn a_host_path_is_mounted(cluster: &Cluster, ns: &str) -> Result<()> {
    let dir = cluster.host().dir().join("shared-folder");
    std::fs::create_dir_all(&dir)?;
    std::fs::write(dir.join("word"), "from the host")?;
    let manifest = pod("hostpath", "cat /mnt/word", |spec| {
        spec["volumes"] = json!([{ "name": "v", "hostPath": { "path": dir, "type": "Directory" } }]);
        spec["containers"][0]["volumeMounts"] = json!([{ "name": "v", "mountPath": "/mnt" }]);
    });
    cluster.apply(ns, &manifest)?;
    let log = finished(cluster, ns, "hostpath")?;
    ensure!(log == "from the host", "{log}");
    Ok(())
}

fn a_changed_config_map_changes_the_file(cluster: &Cluster, ns: &str) -> Result<()> {
    cluster.apply(ns, SETTINGS)?;
    let manifest = pod("live", "sleep 600", |spec| {
        spec["volumes"] = json!([
            { "name": "settings", "configMap": { "name": "settings" } },
            { "name": "keys", "secret": { "secretName": "keys" } },
        ]);
        spec["containers"][0]["volumeMounts"] =
            json!([{ "name": "settings", "mountPath": "/settings" }, { "name": "keys", "mountPath": "/keys" }]);
    });
    cluster.apply(ns, &manifest)?;
    cluster.ready(ns, "live")?;
    ensure!(cluster.exec(ns, "live", &["/bin/cat", "/settings/color"])? == "blue");
    cluster.apply(ns, &SETTINGS.replace("color: blue", "shade: grey").replace("hunter2", "hunter3"))?;
    wait::eventually("the files are new", PATIENCE, || {
        let files = cluster.exec(ns, "live", &["/bin/ls", "/settings"])?;
        ensure!(files == "shade\nsize\n", "{files}");
        let password = cluster.exec(ns, "live", &["/bin/cat", "/keys/password"])?;
        ensure!(password == "hunter3", "{password}");
        Ok(())
    })
}

fn an_empty_dir_in_memory_outlives_a_restart(cluster: &Cluster, ns: &str) -> Result<()> {
    let manifest = pod(
        "memory",
        "grep -q ' /v tmpfs ' /proc/mounts || exit 1; echo line >> /v/log; cat /v/log; sleep 600",
        |spec| {
            spec["restartPolicy"] = "Always".into();
            spec["volumes"] = json!([{ "name": "v", "emptyDir": { "medium": "Memory" } }]);
            spec["containers"][0]["volumeMounts"] = json!([{ "name": "v", "mountPath": "/v" }]);
        },
    );
    cluster.apply(ns, &manifest)?;
    cluster.ready(ns, "memory")?;
    cluster.docker(&["kill", &cluster.container(ns, "memory")?])?;
    wait::eventually("the second container sees what the first wrote", PATIENCE, || {
        let log = cluster.run(&["logs", "-n", ns, "memory"])?;
        ensure!(log == "line\nline\n", "{log}");
        Ok(())
    })
}
