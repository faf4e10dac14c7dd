//! The lines that users type every day, verbatim, and the words that upstream answers with. Without
//! pods: what these do to pods other scenarios tell.

use anyhow::{Result, ensure};
use nodeplane_tests::bed::{
    cluster::{Cluster, NODE, PATIENCE},
    process::run,
    wait,
};

use super::scenarios;

scenarios![
    labels_and_annotations_come_and_go,
    workloads_are_changed_by_set_patch_and_edit,
    a_rollout_is_paused_resumed_and_undone,
    autoscale_makes_an_autoscaler,
    objects_are_exposed_listed_and_sorted,
    replace_takes_the_place_of_what_is_there,
    the_api_tells_what_it_has,
    explain_tells_every_field,
];

const WEB: &str = "create deployment web --image=web:1 --replicas=0";

/// Types lines one after the other, each with the words it answers with.
fn typed(cluster: &Cluster, ns: &str, lines: &[(&str, &str)]) -> Result<()> {
    for (line, words) in lines {
        let said = line_of(cluster, ns, line)?;
        ensure!(said == *words, "kubectl {line}:\n{said}");
    }
    Ok(())
}

/// What `kubectl` answers to a line, which it must not refuse.
fn line_of(cluster: &Cluster, ns: &str, line: &str) -> Result<String> {
    cluster.run(&words(ns, line))
}

/// How `kubectl` refuses a line.
fn refusal_of(cluster: &Cluster, ns: &str, line: &str) -> Result<String> {
    cluster.kubectl(&words(ns, line))?.failure()
}

fn words<'a>(ns: &'a str, line: &'a str) -> Vec<&'a str> {
    line.split_whitespace().chain(["--namespace", ns]).collect()
}

fn labels_and_annotations_come_and_go(cluster: &Cluster, ns: &str) -> Result<()> {
    let (label, unlabel) = (format!("label nodes {NODE} everyday=x"), format!("label nodes {NODE} everyday-"));
    let (labeled, unlabeled) = (format!("node/{NODE} labeled\n"), format!("node/{NODE} unlabeled\n"));
    typed(cluster, ns, &[(&label, &labeled)])?;
    let refused = refusal_of(cluster, ns, &label.replace("=x", "=y"))?;
    ensure!(refused == "error: 'everyday' already has a value (x), and --overwrite is false\n", "{refused}");
    typed(
        cluster,
        ns,
        &[
            (&format!("{label}y --overwrite"), &labeled),
            ("get nodes -l everyday=xy -o name", &format!("node/{NODE}\n")),
            (&unlabel, &unlabeled),
            (WEB, "deployment.apps/web created\n"),
            ("annotate deployment web note=one", "deployment.apps/web annotated\n"),
            ("get deployment web -o jsonpath={.metadata.annotations.note}", "one"),
            ("annotate deployment web note-", "deployment.apps/web annotated\n"),
            ("label deployment web tier=front", "deployment.apps/web labeled\n"),
            ("get deployments -l tier=front,app=web -o name", "deployment.apps/web\n"),
            ("label deployment web tier-", "deployment.apps/web unlabeled\n"),
        ],
    )
}

fn workloads_are_changed_by_set_patch_and_edit(cluster: &Cluster, ns: &str) -> Result<()> {
    let container = "get deployment web -o jsonpath={.spec.template.spec.containers[0]";
    typed(
        cluster,
        ns,
        &[
            (WEB, "deployment.apps/web created\n"),
            ("scale --replicas=0 deployment web", "deployment.apps/web scaled\n"),
            ("set image deployment web web=web:2", "deployment.apps/web image updated\n"),
            (&format!("{container}.image}}"), "web:2"),
            ("set env deployment/web COLOR=blue", "deployment.apps/web env updated\n"),
            (&format!("{container}.env[0].value}}"), "blue"),
            (
                "set resources deployment web --limits=cpu=100m,memory=64Mi",
                "deployment.apps/web resource requirements updated\n",
            ),
            (&format!("{container}.resources.limits.cpu}}"), "100m"),
            ("set serviceaccount deployment web default", "deployment.apps/web serviceaccount updated\n"),
            (r#"patch deployment web -p {"spec":{"minReadySeconds":1}}"#, "deployment.apps/web patched\n"),
            (r#"patch deployment web -p {"spec":{"minReadySeconds":1}}"#, "deployment.apps/web patched (no change)\n"),
            (r#"patch deployment web --type=merge -p {"spec":{"minReadySeconds":2}}"#, "deployment.apps/web patched\n"),
            (
                r#"patch deployment web --type=json -p [{"op":"replace","path":"/spec/minReadySeconds","value":3}]"#,
                "deployment.apps/web patched\n",
            ),
            (
                r#"patch deployment web --subresource=scale --type=merge -p {"spec":{"replicas":0}}"#,
                "scale.autoscaling/web patched (no change)\n",
            ),
        ],
    )?;
    let refused = refusal_of(cluster, ns, "scale --current-replicas=5 --replicas=6 deployment web")?;
    ensure!(refused.contains("Expected replicas to be 5, was 0"), "{refused}");
    let editor = "sed -i s/minReadySeconds:.*/minReadySeconds:\\ 4/";
    let edited = run(cluster.kubectl_command(&words(ns, "edit deployment web")).env("KUBE_EDITOR", editor))?;
    ensure!(edited == "deployment.apps/web edited\n", "{edited}");
    typed(cluster, ns, &[("get deployment web -o jsonpath={.spec.minReadySeconds}", "4")])
}

fn a_rollout_is_paused_resumed_and_undone(cluster: &Cluster, ns: &str) -> Result<()> {
    typed(cluster, ns, &[(WEB, "deployment.apps/web created\n")])?;
    line_of(cluster, ns, "rollout status deployment/web --timeout=60s")?;
    typed(
        cluster,
        ns,
        &[
            ("rollout pause deployment web", "deployment.apps/web paused\n"),
            ("set image deployment web web=web:2", "deployment.apps/web image updated\n"),
        ],
    )?;
    let refused = refusal_of(cluster, ns, "rollout pause deployment web")?;
    ensure!(refused == "error: deployments.apps \"web\" is already paused\n", "{refused}");
    typed(cluster, ns, &[("rollout resume deployment web", "deployment.apps/web resumed\n")])?;
    line_of(cluster, ns, "rollout status deployment/web --timeout=60s")?;
    let history = "deployment.apps/web \nREVISION  CHANGE-CAUSE\n1         <none>\n2         <none>\n\n";
    wait::eventually("both revisions are told", PATIENCE, || {
        typed(cluster, ns, &[("rollout history deployment web", history)])
    })?;
    typed(
        cluster,
        ns,
        &[
            ("rollout undo deployment web --to-revision=1", "deployment.apps/web rolled back\n"),
            ("get deployment web -o jsonpath={.spec.template.spec.containers[0].image}", "web:1"),
            ("rollout restart deployment web", "deployment.apps/web restarted\n"),
        ],
    )?;
    let sets = line_of(cluster, ns, "get rs -o wide -l app=web")?;
    let heading: Vec<_> = sets.lines().next().unwrap_or_default().split_whitespace().collect();
    ensure!(heading.join(" ") == "NAME DESIRED CURRENT READY AGE CONTAINERS IMAGES SELECTOR", "{sets}");
    Ok(())
}

fn autoscale_makes_an_autoscaler(cluster: &Cluster, ns: &str) -> Result<()> {
    typed(
        cluster,
        ns,
        &[
            (WEB, "deployment.apps/web created\n"),
            (
                "autoscale deployment web --min=2 --max=3 --cpu-percent=80",
                "horizontalpodautoscaler.autoscaling/web autoscaled\n",
            ),
            (
                "get hpa web -o jsonpath={.apiVersion}:{.spec.metrics[0].resource.target.averageUtilization}",
                "autoscaling/v2:80",
            ),
            (
                "get horizontalpodautoscalers.v1.autoscaling web -o jsonpath={.apiVersion}:{.spec.targetCPUUtilizationPercentage}",
                "autoscaling/v1:80",
            ),
        ],
    )?;
    let table = line_of(cluster, ns, "get hpa web --no-headers")?;
    let row: Vec<_> = table.split_whitespace().take(6).collect();
    ensure!(row == ["web", "Deployment/web", "cpu:", "<unknown>/80%", "2", "3"], "{table}");
    Ok(())
}

fn objects_are_exposed_listed_and_sorted(cluster: &Cluster, ns: &str) -> Result<()> {
    typed(
        cluster,
        ns,
        &[
            (WEB, "deployment.apps/web created\n"),
            ("expose deployment web --name=front --port=80", "service/front exposed\n"),
            ("get svc -l app=web -o name", "service/front\n"),
            ("set selector service front app=other", "service/front selector updated\n"),
            ("get svc front -o jsonpath={.spec.selector.app}", "other"),
            ("create configmap b --from-literal=order=1", "configmap/b created\n"),
            ("create configmap a --from-literal=order=2", "configmap/a created\n"),
            ("get configmaps a b --sort-by=.data.order -o name", "configmap/b\nconfigmap/a\n"),
            ("get configmap a -o custom-columns=NAME:.metadata.name,ORDER:.data.order", "NAME   ORDER\na      2\n"),
            ("get configmap a -o go-template={{.data.order}}", "2"),
            ("delete configmap a b", "configmap \"a\" deleted\nconfigmap \"b\" deleted\n"),
            ("get deployment nobody --ignore-not-found", ""),
            ("wait deployment/web --for=jsonpath={.spec.replicas}=0", "deployment.apps/web condition met\n"),
        ],
    )?;
    let all = line_of(cluster, ns, "get all -o name")?;
    ensure!(all.contains("service/front\n") && all.contains("deployment.apps/web\n"), "{all}");
    Ok(())
}

fn replace_takes_the_place_of_what_is_there(cluster: &Cluster, ns: &str) -> Result<()> {
    let manifest = |value: &str| {
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c, namespace: {ns}}}\ndata: {{k: {value}}}\n")
    };
    let replaced = |args: &[&str], value: &str| cluster.kubectl_with_input(args, &manifest(value))?.success(args);
    cluster.apply(ns, &manifest("one"))?;
    let before = cluster.get_in(ns, "configmap", "c")?["metadata"]["uid"].clone();
    let said = replaced(&["replace", "-f", "-"], "two")?;
    ensure!(said == "configmap/c replaced\n", "{said}");
    let kept = cluster.get_in(ns, "configmap", "c")?;
    ensure!(kept["metadata"]["uid"] == before && kept["data"]["k"] == "two", "{kept}");
    let said = replaced(&["replace", "--force", "-f", "-"], "three")?;
    ensure!(said == "configmap \"c\" deleted\nconfigmap/c replaced\n", "{said}");
    let new = cluster.get_in(ns, "configmap", "c")?;
    ensure!(new["metadata"]["uid"] != before && new["data"]["k"] == "three", "{new}");
    Ok(())
}

fn the_api_tells_what_it_has(cluster: &Cluster, ns: &str) -> Result<()> {
    let resources = line_of(cluster, ns, "api-resources")?;
    let row =
        |wanted: &str| resources.lines().any(|line| line.split_whitespace().collect::<Vec<_>>().join(" ") == wanted);
    for wanted in [
        "NAME SHORTNAMES APIVERSION NAMESPACED KIND",
        "pods po v1 true Pod",
        "nodes no v1 false Node",
        "persistentvolumeclaims pvc v1 true PersistentVolumeClaim",
        "daemonsets ds apps/v1 true DaemonSet",
        "cronjobs cj batch/v1 true CronJob",
        "horizontalpodautoscalers hpa autoscaling/v2 true HorizontalPodAutoscaler",
        "ingresses ing networking.k8s.io/v1 true Ingress",
        "clusterroles rbac.authorization.k8s.io/v1 false ClusterRole",
        "storageclasses sc storage.k8s.io/v1 false StorageClass",
    ] {
        ensure!(row(wanted), "{wanted} is missing in\n{resources}");
    }
    let versions = line_of(cluster, ns, "api-versions")?;
    for version in ["apps/v1", "autoscaling/v1", "autoscaling/v2", "batch/v1", "events.k8s.io/v1", "policy/v1", "v1"] {
        ensure!(versions.lines().any(|line| line == version), "{version} is missing in\n{versions}");
    }
    let info = line_of(cluster, ns, "cluster-info")?;
    ensure!(info.contains("Kubernetes control plane") && info.contains("is running at"), "{info}");
    typed(cluster, ns, &[("get --raw /readyz", "ok"), ("auth can-i create pods", "yes\n")])
}

fn explain_tells_every_field(cluster: &Cluster, ns: &str) -> Result<()> {
    let affinity = line_of(cluster, ns, "explain Pod.spec.affinity")?;
    for words in ["KIND:       Pod\nVERSION:    v1\n", "FIELD: affinity <Affinity>", "  nodeAffinity\t<NodeAffinity>"] {
        ensure!(affinity.contains(words), "{words:?} is missing in\n{affinity}");
    }
    let old = line_of(cluster, ns, "explain hpa.spec --api-version=autoscaling/v1")?;
    ensure!(old.contains("VERSION:    v1") && old.contains("targetCPUUtilizationPercentage\t<integer>"), "{old}");
    let whole = line_of(cluster, ns, "explain deployments --recursive")?;
    ensure!(whole.contains("      maxSurge\t<IntOrString>") && whole.contains("livenessProbe\t<Probe>"), "{whole}");
    let refused = refusal_of(cluster, ns, "explain pod.spec.nothing")?;
    ensure!(refused.contains("field \"nothing\" does not exist"), "{refused}");
    Ok(())
}
