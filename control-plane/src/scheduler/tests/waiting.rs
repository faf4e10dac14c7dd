//! Who waits, for what, and how long.

use std::{collections::BTreeSet, time::Duration};

use nodeplane_client::informer::Change;
use tokio::time::Instant;

use super::{
    board::{Board, Turn},
    *,
};

/// A board, fed as the caches feed it, with a clock of its own.
struct Scene {
    board: Board,
    nodes: Vec<Arc<Node>>,
    pods: Vec<Arc<Pod>>,
    now: Instant,
}

impl Scene {
    fn new(nodes: &[Arc<Node>], pods: &[Arc<Pod>]) -> Self {
        let mut scene = Self { board: Board::default(), nodes: Vec::new(), pods: Vec::new(), now: Instant::now() };
        nodes.iter().for_each(|node| drop(scene.set_node(node)));
        pods.iter().for_each(|pod| drop(scene.set_pod(pod)));
        scene
    }

    fn set_pod(&mut self, new: &Arc<Pod>) -> Vec<String> {
        self.change_pod(&new.name_any(), Some(new))
    }

    fn change_pod(&mut self, name: &str, new: Option<&Arc<Pod>>) -> Vec<String> {
        let old = self.pods.iter().position(|pod| pod.name_any() == name).map(|at| self.pods.remove(at));
        self.pods.extend(new.cloned());
        names(self.board.pod_changed(&Change { key: &Key::new("default", name), old: old.as_ref(), new }))
    }

    fn set_node(&mut self, new: &Arc<Node>) -> Vec<String> {
        self.change_node(&new.name_any(), Some(new))
    }

    fn change_node(&mut self, name: &str, new: Option<&Arc<Node>>) -> Vec<String> {
        let old = self.nodes.iter().position(|node| node.name_any() == name).map(|at| self.nodes.remove(at));
        self.nodes.extend(new.cloned());
        names(self.board.node_changed(&Change { key: &Key::new("", name), old: old.as_ref(), new }))
    }

    /// Whether the pod, which finds no node, is told about.
    fn fails(&self, pod: &Arc<Pod>) -> bool {
        let info = Arc::new(PodInfo::new(pod.clone()));
        let Turn::Now(snapshot) = self.board.turn(&info, self.now) else { panic!("{} rests", info.key) };
        let Decision::Wait { message, causes } = decide(&snapshot, &info) else { panic!("{} fits", info.key) };
        self.board.fail(&info.key, causes, &message, self.now)
    }

    fn rests(&self, pod: &Arc<Pod>) -> Option<Duration> {
        match self.board.turn(&Arc::new(PodInfo::new(pod.clone())), self.now) {
            Turn::Later(left) => Some(left),
            Turn::Now(_) => None,
        }
    }
}

fn names(keys: Vec<Key>) -> Vec<String> {
    let names: BTreeSet<_> = keys.into_iter().map(|key| key.name).collect();
    names.into_iter().collect()
}

fn tainted(taints: &Value) -> Arc<Node> {
    node("n", &json!({ "spec": { "taints": taints } }))
}

const NOBODY: [&str; 0] = [];

#[test]
fn m4_a_change_during_the_first_decision_is_not_lost() {
    let late = pod("late", &asks("1", "1Gi"));
    let mut scene = Scene::new(&[], &[]);
    assert_eq!(scene.set_pod(&late), ["late"]);
    let info = Arc::new(PodInfo::new(late));
    let Turn::Now(snapshot) = scene.board.turn(&info, scene.now) else { panic!() };
    // The snapshot is taken, the decision is not made: now the node comes.
    assert_eq!(scene.set_node(&node("n", &json!({}))), ["late"]);
    assert!(matches!(decide(&snapshot, &info), Decision::Wait { .. }), "on old facts");
    let Turn::Now(snapshot) = scene.board.turn(&info, scene.now) else { panic!() };
    assert!(matches!(decide(&snapshot, &info), Decision::Bind { .. }), "when called again");
}

#[test]
fn m4_room_that_comes_up_during_a_decision_is_not_lost() {
    let busy = pod("busy", &on("n", asks("2", "1Gi")));
    let late = pod("late", &asks("1", "1Gi"));
    let mut scene = Scene::new(&[node("n", &json!({}))], &[busy, late.clone()]);
    let Turn::Now(_) = scene.board.turn(&Arc::new(PodInfo::new(late)), scene.now) else { panic!() };
    assert_eq!(scene.change_pod("busy", None), ["late"]);
}

#[test]
fn m6_pods_wait_longer_after_each_failure_but_never_for_long() {
    let late = pod("late", &asks("1", "1Gi"));
    let mut scene = Scene::new(&[], std::slice::from_ref(&late));
    for seconds in [1, 2, 4, 8, 10, 10] {
        scene.fails(&late);
        assert_eq!(scene.rests(&late), Some(Duration::from_secs(seconds)));
        scene.now += Duration::from_millis(400);
        assert_eq!(scene.rests(&late), Some(Duration::from_secs(seconds) - Duration::from_millis(400)));
        scene.now += Duration::from_secs(seconds);
        assert_eq!(scene.rests(&late), None);
    }
    // A new pod of the name is another pod.
    scene.fails(&late);
    assert_eq!(scene.rests(&pod("late", &json!({ "metadata": { "uid": "new" } }))), None);
}

#[test]
fn m6_the_reason_is_told_when_it_is_news_and_rarely_again() {
    let late = pod("late", &asks("1", "1Gi"));
    let mut scene = Scene::new(&[], std::slice::from_ref(&late));
    assert!(scene.fails(&late));
    for _ in 0..20 {
        scene.now += Duration::from_secs(10);
        assert!(!scene.fails(&late));
    }
    scene.now += Duration::from_secs(100);
    assert!(scene.fails(&late), "five minutes have passed");
    scene.set_node(&tainted(&json!([{ "key": "gpu", "effect": "NoSchedule" }])));
    scene.now += Duration::from_secs(10);
    assert!(scene.fails(&late), "another reason");
}

#[test]
fn m6_what_cannot_help_wakes_nobody() {
    let picky = pod("picky", &json!({ "spec": { "nodeSelector": { "disk": "ssd" } } }));
    let mut scene = Scene::new(&[node("n", &json!({}))], std::slice::from_ref(&picky));
    scene.fails(&picky);
    // Other pods come, change and go: no node gets the label from that.
    let mut ended = on("n", json!({}));
    ended["status"]["phase"] = "Succeeded".into();
    for other in 0..100 {
        let name = format!("other{other}");
        assert_eq!(scene.set_pod(&pod(&name, &json!({}))), [name.as_str()], "only itself");
        assert_eq!(scene.set_pod(&pod(&name, &on("n", json!({})))), NOBODY);
        assert_eq!(scene.set_pod(&pod(&name, &ended)), NOBODY);
        assert_eq!(scene.change_pod(&name, None), NOBODY);
    }
    let beat = json!({ "status": { "conditions": [{ "type": "Ready", "status": "True" }] } });
    assert_eq!(scene.set_node(&node("n", &beat)), NOBODY, "a heartbeat");
    assert_eq!(scene.set_node(&node("m", &json!({ "metadata": { "labels": { "disk": "hdd" } } }))), NOBODY);
    assert_eq!(scene.set_node(&node("m", &json!({ "metadata": { "labels": { "disk": "ssd" } } }))), ["picky"]);
}

#[test]
fn room_helps_those_who_fit_into_it() {
    let pods =
        [pod("busy", &on("n", asks("1500m", "1Gi"))), pod("small", &asks("1", "1Gi")), pod("large", &asks("3", "1Gi"))];
    let mut scene = Scene::new(&[node("n", &json!({}))], &pods);
    scene.fails(&pods[1]);
    scene.fails(&pods[2]);
    let mut ended = on("n", asks("1500m", "1Gi"));
    ended["status"]["phase"] = "Succeeded".into();
    assert_eq!(scene.set_pod(&pod("busy", &ended)), ["small"]);
    assert_eq!(scene.change_pod("busy", None), NOBODY, "it had ended before");
    assert_eq!(
        scene.set_node(&node("big", &json!({ "status": { "allocatable": { "cpu": "8" } } }))),
        ["large", "small"]
    );
}

#[test]
fn room_helps_also_where_something_else_was_in_the_way_before() {
    let pods = [pod("busy", &on("n", asks("2", "1Gi"))), pod("late", &asks("1", "1Gi"))];
    let mut scene = Scene::new(&[tainted(&json!([{ "key": "gpu", "effect": "NoSchedule" }]))], &pods);
    assert!(scene.fails(&pods[1]), "for the taint, which is looked at first");
    assert_eq!(scene.set_node(&tainted(&json!(null))), NOBODY, "the node is full");
    assert_eq!(scene.change_pod("busy", None), ["late"]);
}

#[test]
fn a_node_that_gets_ready_helps_those_who_could_go_there() {
    let not_ready = json!([{ "key": "node.kubernetes.io/not-ready", "effect": "NoSchedule" }]);
    let (late, early) = (pod("late", &json!({})), pod("early", &json!({})));
    let mut scene = Scene::new(&[], &[late.clone(), early.clone()]);
    scene.fails(&early);
    assert_eq!(scene.set_node(&tainted(&not_ready)), ["early"], "there was no node at all");
    scene.fails(&late);
    assert_eq!(scene.change_node("n", None), NOBODY);
    assert_eq!(scene.set_node(&tainted(&json!(null))), ["early", "late"]);
}

#[test]
fn neighbours_help_those_who_want_them_or_want_them_gone() {
    let term = |app: &str| json!([{ "topologyKey": "kubernetes.io/hostname", "labelSelector": { "matchLabels": { "app": app } } }]);
    let affinity = |kind: &str, app: &str| json!({ "spec": { "affinity": { kind: { "requiredDuringSchedulingIgnoredDuringExecution": term(app) } } } });
    let app = |name: &str, app: &str, mut fields: Value| {
        fields["metadata"]["labels"]["app"] = app.into();
        pod(name, &fields)
    };
    let pods = [
        app("db", "db", on("n", affinity("podAntiAffinity", "web"))),
        pod("wants-cache", &affinity("podAffinity", "cache")),
        app("hates-db", "other", affinity("podAntiAffinity", "db")),
        pod("hated-by-db", &json!({})),
        pod("picky", &json!({ "spec": { "nodeSelector": { "disk": "ssd" } } })),
    ];
    let mut scene = Scene::new(&[node("n", &json!({}))], &pods);
    assert!(pods[1..].iter().all(|pod| scene.fails(pod)));
    assert_eq!(scene.set_pod(&app("x", "x", on("n", json!({})))), NOBODY);
    assert_eq!(scene.set_pod(&app("x", "cache", on("n", json!({})))), ["wants-cache"], "another label");
    assert_eq!(scene.change_pod("db", None), ["hated-by-db", "hates-db"]);
}

#[test]
fn pods_that_are_spread_wait_for_each_other() {
    let constraint = json!({ "spec": { "topologySpreadConstraints": [{ "maxSkew": 1, "topologyKey": "zone",
        "whenUnsatisfiable": "DoNotSchedule", "labelSelector": { "matchLabels": { "app": "web" } } }] } });
    let zone = |name: &str, zone: &str, cordoned: bool| {
        node(name, &json!({ "metadata": { "labels": { "zone": zone } }, "spec": { "unschedulable": cordoned } }))
    };
    let pods = [pod("there", &on("a", json!({}))), pod("late", &constraint)];
    let mut scene = Scene::new(&[zone("a", "1", false), zone("b", "2", true)], &pods);
    scene.fails(&pods[1]);
    let mut other = on("b", json!({}));
    other["metadata"]["labels"]["app"] = "other".into();
    assert_eq!(scene.set_pod(&pod("other", &other)), NOBODY);
    assert_eq!(scene.set_pod(&pod("more", &on("b", json!({})))), ["late"]);
    assert_eq!(scene.change_node("b", None), ["late"], "an empty zone less");
}

#[test]
fn l10_a_pod_of_the_same_name_and_spec_is_another_pod() {
    let mut scene = Scene::new(&[], &[]);
    assert_eq!(scene.set_pod(&pod("p", &json!({}))), ["p"]);
    let mut waits = json!({});
    waits["status"]["conditions"] = json!([{ "type": "PodScheduled", "status": "False" }]);
    assert_eq!(scene.set_pod(&pod("p", &waits)), NOBODY, "our own status");
    // A list shows it so: the one before was deleted meanwhile.
    assert_eq!(scene.set_pod(&pod("p", &json!({ "metadata": { "uid": "another" } }))), ["p"]);
    let bound = pod("q", &on("n", asks("2", "1Gi")));
    let late = pod("late", &asks("1", "1Gi"));
    let mut scene = Scene::new(&[node("n", &json!({}))], &[bound, late.clone()]);
    scene.fails(&late);
    assert_eq!(scene.set_pod(&pod("q", &json!({ "metadata": { "uid": "another" } }))), ["late", "q"]);
}

#[test]
fn a_binding_that_fails_gives_its_room_back() {
    let late = pod("late", &asks("1", "1Gi"));
    let first = pod("first", &asks("2", "1Gi"));
    let mut scene = Scene::new(&[node("n", &json!({}))], &[first.clone(), late.clone()]);
    scene.board.assume(&first, "n");
    scene.fails(&late);
    assert_eq!(scene.set_pod(&first), NOBODY);
    scene.board.forget(&key(&first), &first);
    assert_eq!(names(scene.board.unheard()), ["late"]);
    assert_eq!(names(scene.board.unheard()), NOBODY, "told once");
    scene.now += Duration::from_secs(1);
    let Turn::Now(snapshot) = scene.board.turn(&Arc::new(PodInfo::new(late.clone())), scene.now) else { panic!() };
    assert!(matches!(decide(&snapshot, &PodInfo::new(late)), Decision::Bind { .. }));
}

#[test]
fn pods_that_are_gone_or_bound_do_not_wait() {
    let late = pod("late", &json!({}));
    let mut scene = Scene::new(&[], std::slice::from_ref(&late));
    scene.fails(&late);
    assert_eq!(scene.change_pod("late", None), NOBODY);
    assert_eq!(scene.set_node(&node("n", &json!({}))), NOBODY);
}
