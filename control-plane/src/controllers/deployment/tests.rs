use k8s_openapi::api::apps::v1::DeploymentCondition;
use kube::ResourceExt;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::controllers::{
    pod_facts, replicaset,
    world::{World, object},
};

fn deployment(replicas: i32, image: &str, strategy: Value) -> Deployment {
    let mut deployment = json!({
        "metadata": { "name": "web", "namespace": "default", "annotations": { "note": "kept" } },
        "spec": { "replicas": replicas, "selector": { "matchLabels": { "app": "web" } },
                  "revisionHistoryLimit": 2, "progressDeadlineSeconds": 60,
                  "template": { "metadata": { "labels": { "app": "web" } },
                                "spec": { "containers": [{ "name": "c", "image": image }] } } }
    });
    deployment["spec"]["strategy"] = strategy;
    object(deployment)
}

fn rolling(surge: Value, unavailable: Value) -> Value {
    let mut strategy = json!({ "type": "RollingUpdate" });
    strategy["rollingUpdate"] = Value::from_iter([("maxSurge", surge), ("maxUnavailable", unavailable)]);
    strategy
}

/// The whole machine in small: deployment and replica set controllers, and a kubelet that makes
/// pods ready unless their image is `broken`.
struct Machine {
    world: World,
    events: Vec<String>,
    least_available: usize,
    most_pods: usize,
}

impl Machine {
    fn new(deployment: &Deployment) -> Self {
        let mut world = World::default();
        world.put(deployment);
        Self { world, events: Vec::new(), least_available: usize::MAX, most_pods: 0 }
    }

    fn deployment(&self) -> Deployment {
        self.world.get("web").unwrap()
    }

    fn status(&self) -> DeploymentStatus {
        self.deployment().status.unwrap_or_default()
    }

    fn condition(&self, type_: &str) -> DeploymentCondition {
        let status = self.status();
        status.conditions.iter().flatten().find(|condition| condition.type_ == type_).unwrap().clone()
    }

    fn plan(&self) -> Plan {
        let deployment = self.deployment();
        let pods = self.world.list();
        plan(&Facts { deployment: &deployment, sets: self.world.list(), pods: &pods, now: self.world.now() })
    }

    /// Carries out a plan of the deployment, at most `writes` of it. Returns whether there was
    /// anything to do.
    fn deploy(&mut self, writes: usize) -> bool {
        let plan = self.plan();
        self.events.extend(plan.events.iter().map(|(_, message)| message.clone()));
        let deployment = self.deployment();
        let status = plan.status.map(|status| status_write(&deployment, status));
        let all = plan.claims.into_iter().chain(plan.creation).chain(plan.writes);
        let all: Vec<_> = all.chain(status).chain(plan.revision).chain(plan.cleanup).collect();
        self.world.apply_all(&all[..writes.min(all.len())]);
        !all.is_empty()
    }

    fn sets(&mut self) -> bool {
        let mut busy = false;
        for set in self.world.list::<ReplicaSet>() {
            let now = self.world.now();
            let facts = replicaset::Facts { set: &set, pods: &self.world.list(), siblings: &[], now };
            let plan = replicaset::plan(&facts);
            self.world.apply_all(&plan.pods);
            let status = plan.status(&set, None, now);
            busy |= !plan.pods.is_empty() || set.status.as_ref() != Some(&status);
            if set.status.as_ref() != Some(&status) {
                self.world.edit::<ReplicaSet>(&set.name_any(), |set| set["status"] = json!(status));
            }
        }
        busy
    }

    /// Makes one more pod ready.
    fn kubelet(&mut self) -> bool {
        let pods = self.world.list::<Pod>();
        let broken = |pod: &Pod| pod.spec.as_ref().unwrap().containers[0].image.as_deref() == Some("broken");
        let Some(pod) = pods.iter().find(|pod| !pod_facts::is_ready(pod) && !broken(pod)) else { return false };
        let since = self.world.now().to_string();
        self.world.edit::<Pod>(&pod.name_any(), |pod| {
            pod["status"] = json!({ "phase": "Running",
                "conditions": [{ "type": "Ready", "status": "True", "lastTransitionTime": since }] });
        });
        true
    }

    fn measure(&mut self) {
        let pods = self.world.list::<Pod>();
        self.most_pods = self.most_pods.max(pods.len());
        self.least_available = self.least_available.min(pods.iter().filter(|pod| pod_facts::is_ready(pod)).count());
    }

    fn settle(&mut self) {
        self.settle_with(usize::MAX);
    }

    /// Runs everybody in turn until nobody has anything to do; the deployment controller crashes
    /// after `writes` writes each time.
    fn settle_with(&mut self, writes: usize) {
        for _ in 0..400 {
            let deployed = self.deploy(writes);
            self.measure();
            let managed = self.sets();
            self.measure();
            let started = self.kubelet();
            if !deployed && !managed && !started {
                return;
            }
        }
        panic!("does not settle: {:?}", self.plan());
    }

    fn watch(&mut self) {
        (self.least_available, self.most_pods) = (usize::MAX, 0);
        self.events.clear();
    }

    fn set_image(&mut self, image: &str) {
        self.change(|spec| spec["template"]["spec"]["containers"][0]["image"] = image.into());
    }

    fn change(&mut self, change: impl FnOnce(&mut Value)) {
        let mut deployment = serde_json::to_value(self.deployment()).unwrap();
        change(&mut deployment["spec"]);
        self.world.put(&object::<Deployment>(deployment));
    }

    fn images(&self) -> Vec<String> {
        let pods = self.world.list::<Pod>();
        pods.iter().map(|pod| pod.spec.as_ref().unwrap().containers[0].image.clone().unwrap()).collect()
    }
}

#[test]
fn a_new_deployment_gets_one_set_and_reports_success() {
    let mut machine = Machine::new(&deployment(3, "v1", rolling(json!("25%"), json!("25%"))));
    assert!(machine.deploy(usize::MAX));
    assert_eq!(machine.condition("Progressing").reason.as_deref(), Some("NewReplicaSetCreated"));
    machine.settle();
    let sets = machine.world.list::<ReplicaSet>();
    assert_eq!(sets.len(), 1);
    let hash = &sets[0].labels()["pod-template-hash"];
    assert_eq!(sets[0].name_any(), format!("web-{hash}"));
    assert!(hash.bytes().all(|letter| b"bcdfghjklmnpqrstvwxz2456789".contains(&letter)));
    assert_eq!(sets[0].annotations()["note"], "kept");
    assert_eq!(sets[0].annotations()["deployment.kubernetes.io/max-replicas"], "4");
    assert_eq!(sets[0].spec.as_ref().unwrap().selector.match_labels.as_ref().unwrap()["pod-template-hash"], *hash);
    assert_eq!(machine.deployment().annotations()["deployment.kubernetes.io/revision"], "1");
    let status = machine.status();
    assert_eq!((status.replicas, status.updated_replicas, status.ready_replicas), (Some(3), Some(3), Some(3)));
    assert_eq!((status.available_replicas, status.unavailable_replicas), (Some(3), None));
    assert_eq!(status.observed_generation, Some(1));
    let progressing = machine.condition("Progressing");
    assert_eq!(progressing.reason.as_deref(), Some("NewReplicaSetAvailable"));
    let text = format!("ReplicaSet \"web-{hash}\" has successfully progressed.");
    assert_eq!(progressing.message, Some(text));
    assert_eq!(machine.condition("Available").reason.as_deref(), Some("MinimumReplicasAvailable"));
    assert_eq!(machine.events, [format!("Scaled up replica set web-{hash} from 0 to 3")]);
}

#[test]
fn a_rolling_update_stays_within_its_bounds() {
    let cases = [
        (10, json!("25%"), json!("25%"), 13, 8),
        (3, json!(1), json!(0), 4, 3),
        (3, json!(0), json!(1), 3, 2),
        (4, json!("100%"), json!(0), 8, 4),
        // Both round to zero: one may be missing.
        (3, json!(0), json!("20%"), 3, 2),
        (1, json!("25%"), json!("25%"), 2, 1),
    ];
    for (replicas, surge, unavailable, most, least) in cases {
        let mut machine = Machine::new(&deployment(replicas, "v1", rolling(surge.clone(), unavailable.clone())));
        machine.settle();
        machine.watch();
        machine.set_image("v2");
        machine.settle();
        let case = format!("{replicas} {surge} {unavailable}");
        assert!(machine.most_pods <= most, "{case}: {} pods", machine.most_pods);
        assert!(machine.least_available >= least, "{case}: {} available", machine.least_available);
        assert!(machine.images().iter().all(|image| image == "v2"), "{case}");
        assert_eq!(machine.images().len(), usize::try_from(replicas).unwrap());
        assert_eq!(machine.deployment().annotations()["deployment.kubernetes.io/revision"], "2");
        assert_eq!(machine.condition("Progressing").reason.as_deref(), Some("NewReplicaSetAvailable"));
    }
}

#[test]
fn a_crash_between_any_two_writes_converges() {
    for writes in 1..4 {
        let mut machine = Machine::new(&deployment(5, "v1", rolling(json!(2), json!(1))));
        machine.settle_with(writes);
        machine.set_image("v2");
        machine.settle_with(writes);
        assert_eq!(machine.images(), ["v2"; 5], "{writes} writes");
        assert_eq!(machine.world.list::<ReplicaSet>().len(), 2);
        assert_eq!(machine.deployment().annotations()["deployment.kubernetes.io/revision"], "2");
    }
}

#[test]
fn recreate_never_runs_old_and_new_together() {
    let mut machine = Machine::new(&deployment(3, "v1", json!({ "type": "Recreate" })));
    machine.settle();
    machine.set_image("v2");
    for _ in 0..100 {
        let busy = machine.deploy(usize::MAX) | machine.sets();
        let images = machine.images();
        assert!(images.iter().all(|image| *image == images[0]), "{images:?}");
        if !busy && !machine.kubelet() {
            break;
        }
    }
    assert_eq!(machine.images(), ["v2"; 3]);
    assert_eq!(machine.condition("Progressing").reason.as_deref(), Some("NewReplicaSetAvailable"));
}

#[test]
fn undo_goes_back_to_the_old_set_with_a_new_revision() {
    let mut machine = Machine::new(&deployment(2, "v1", rolling(json!(1), json!(0))));
    machine.settle();
    machine.set_image("v2");
    machine.settle();
    machine.set_image("v1");
    machine.settle();
    let sets = machine.world.list::<ReplicaSet>();
    assert_eq!(sets.len(), 2);
    let active = sets.iter().find(|set| model::wanted(set) == 2).unwrap();
    assert_eq!(active.annotations()["deployment.kubernetes.io/revision"], "3");
    assert_eq!(active.annotations()["deployment.kubernetes.io/revision-history"], "1");
    assert_eq!(machine.deployment().annotations()["deployment.kubernetes.io/revision"], "3");
    assert_eq!(machine.images(), ["v1"; 2]);
}

#[test]
fn history_is_kept_up_to_its_limit() {
    let mut machine = Machine::new(&deployment(1, "v0", rolling(json!(1), json!(0))));
    for version in 0..6 {
        machine.set_image(&format!("v{version}"));
        machine.settle();
    }
    let sets = machine.world.list::<ReplicaSet>();
    let mut revisions: Vec<_> = sets.iter().map(|set| revision::of(set)).collect();
    revisions.sort_unstable();
    assert_eq!(revisions, [4, 5, 6]);
}

#[test]
fn a_paused_deployment_scales_but_does_not_roll() {
    let mut machine = Machine::new(&deployment(2, "v1", rolling(json!(1), json!(0))));
    machine.settle();
    machine.change(|spec| {
        spec["paused"] = true.into();
        spec["template"]["spec"]["containers"][0]["image"] = "v2".into();
        spec["replicas"] = 4.into();
    });
    machine.settle();
    assert_eq!(machine.images(), ["v1"; 4]);
    assert_eq!(machine.condition("Progressing").reason.as_deref(), Some("DeploymentPaused"));
    assert_eq!(machine.status().updated_replicas, None);
    machine.change(|spec| spec["paused"] = false.into());
    machine.deploy(usize::MAX);
    assert_eq!(machine.condition("Progressing").reason.as_deref(), Some("DeploymentResumed"));
    machine.settle();
    assert_eq!(machine.images(), ["v2"; 4]);
}

#[test]
fn scaling_in_the_middle_of_a_rollout_keeps_the_proportions() {
    let mut machine = Machine::new(&deployment(10, "v1", rolling(json!(3), json!(2))));
    machine.settle();
    machine.set_image("broken");
    machine.settle();
    let sizes = |machine: &Machine| {
        let mut sets = machine.world.list::<ReplicaSet>();
        sets.sort_by_key(|set| revision::of(set));
        sets.iter().map(|set| model::wanted(set)).collect::<Vec<_>>()
    };
    // The new pods never come up: 8 old ones stay available, 13 in all.
    assert_eq!(sizes(&machine), [8, 5]);
    machine.change(|spec| spec["replicas"] = 15.into());
    machine.deploy(usize::MAX);
    // The example of the upstream documentation: 18 in all, shared 11 to 7.
    assert_eq!(sizes(&machine), [11, 7]);
    machine.settle();
    machine.change(|spec| spec["replicas"] = 0.into());
    machine.settle();
    assert_eq!(sizes(&machine), [0, 0]);
}

#[test]
fn no_progress_until_the_deadline_is_a_failure() {
    let mut machine = Machine::new(&deployment(2, "broken", rolling(json!(1), json!(0))));
    machine.settle();
    assert_eq!(machine.condition("Progressing").status, "True");
    assert_eq!(machine.condition("Available").reason.as_deref(), Some("MinimumReplicasUnavailable"));
    let recheck = machine.plan().recheck.unwrap().as_secs();
    assert!((1..=61).contains(&recheck), "{recheck}");
    machine.world.wait(61);
    machine.settle();
    let progressing = machine.condition("Progressing");
    assert_eq!((&*progressing.status, progressing.reason.as_deref()), ("False", Some("ProgressDeadlineExceeded")));
    assert!(progressing.message.unwrap().ends_with("has timed out progressing."));
    assert_eq!(machine.plan().recheck, None);
    // A better template makes it whole again.
    machine.set_image("v2");
    machine.settle();
    assert_eq!(machine.condition("Progressing").reason.as_deref(), Some("NewReplicaSetAvailable"));
}

#[test]
fn min_ready_seconds_reach_the_set() {
    let mut machine = Machine::new(&deployment(1, "v1", rolling(json!(1), json!(0))));
    machine.settle();
    machine.change(|spec| spec["minReadySeconds"] = 30.into());
    machine.settle();
    let sets = machine.world.list::<ReplicaSet>();
    assert_eq!(sets.len(), 1);
    assert_eq!(sets[0].spec.as_ref().unwrap().min_ready_seconds, Some(30));
}

#[test]
fn hashes_differ_by_template_and_by_collision() {
    let template = |image| deployment(1, image, Value::Null).spec.unwrap().template;
    assert_eq!(revision::hash(&template("a"), 0), revision::hash(&template("a"), 0));
    assert_ne!(revision::hash(&template("a"), 0), revision::hash(&template("b"), 0));
    assert_ne!(revision::hash(&template("a"), 0), revision::hash(&template("a"), 1));
}

#[test]
fn orphaned_sets_are_adopted_before_anything_else() {
    let mut machine = Machine::new(&deployment(2, "v1", rolling(json!(1), json!(0))));
    machine.settle();
    let name = machine.world.list::<ReplicaSet>()[0].name_any();
    machine
        .world
        .edit::<ReplicaSet>(&name, |set| drop(set["metadata"].as_object_mut().unwrap().remove("ownerReferences")));
    let plan = machine.plan();
    assert!(plan.adopts && plan.creation.is_none() && plan.writes.is_empty());
    machine.settle();
    assert_eq!(machine.world.list::<ReplicaSet>().len(), 1);
}

/// Who does something next.
#[derive(Clone, Copy, Debug)]
enum Turn {
    Deploy { writes: usize },
    Sets,
    Kubelet,
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let turn =
        prop_oneof![(1..4_usize).prop_map(|writes| Turn::Deploy { writes }), Just(Turn::Sets), Just(Turn::Kubelet),];
    proptest::collection::vec(turn, 0..60)
}

#[test]
fn a_set_status_that_counts_pods_already_given_up_takes_no_more() {
    let mut machine = Machine::new(&deployment(5, "v1", rolling(json!(0), json!(2))));
    machine.settle();
    machine.set_image("v2");
    machine.settle();
    let old = machine.world.list::<ReplicaSet>().into_iter().find(|set| model::wanted(set) == 0).unwrap();
    let new = machine.world.list::<ReplicaSet>().into_iter().find(|set| model::wanted(set) == 5).unwrap();
    let size = |machine: &mut Machine, set: &ReplicaSet, wanted: i32, available: i32| {
        machine.world.edit::<ReplicaSet>(&set.name_any(), |set| {
            set["spec"]["replicas"] = wanted.into();
            set["status"]["availableReplicas"] = available.into();
        });
    };
    // Two old ones stay, but the status still counts the third that is being deleted.
    size(&mut machine, &old, 2, 3);
    size(&mut machine, &new, 3, 2);
    machine.deploy(usize::MAX);
    assert_eq!(model::wanted(&machine.world.get(&old.name_any()).unwrap()), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whoever comes first, however often, and wherever the deployment controller crashes: a
    /// rollout keeps its bounds at every moment, and ends.
    #[test]
    fn any_order_of_events_keeps_the_bounds_and_converges(
        replicas in 1..8_i32, surge in 0..4_i32, unavailable in 0..4_i32, turns in turns(),
    ) {
        let mut machine = Machine::new(&deployment(replicas, "v1", rolling(json!(surge), json!(unavailable))));
        machine.settle();
        machine.watch();
        machine.set_image("v2");
        for turn in turns {
            match turn {
                Turn::Deploy { writes } => drop(machine.deploy(writes)),
                Turn::Sets => drop(machine.sets()),
                Turn::Kubelet => drop(machine.kubelet()),
            }
            machine.measure();
        }
        machine.settle();
        let bounds = model::Bounds::of(machine.deployment().spec.as_ref().unwrap());
        prop_assert!(machine.most_pods <= usize::try_from(bounds.most()).unwrap());
        prop_assert!(machine.least_available >= usize::try_from(bounds.least_available()).unwrap());
        prop_assert!(machine.images().iter().all(|image| image == "v2"));
        prop_assert_eq!(machine.images().len(), usize::try_from(replicas).unwrap());
    }
}
