//! `podAffinity` and `podAntiAffinity`.

use super::*;

const ZONE: &str = "zone";
const HOST: &str = "kubernetes.io/hostname";

fn zone(name: &str, zone: &str) -> Arc<Node> {
    node(name, &json!({ "metadata": { "labels": { ZONE: zone } } }))
}

fn nodes() -> [Arc<Node>; 3] {
    [zone("a", "1"), zone("b", "1"), zone("c", "2")]
}

fn near(topology: &str, app: &str) -> Value {
    json!({ "topologyKey": topology, "labelSelector": { "matchLabels": { "app": app } } })
}

fn required(kind: &str, terms: &[Value]) -> Value {
    json!({ "spec": { "affinity": { kind: { "requiredDuringSchedulingIgnoredDuringExecution": terms } } } })
}

fn preferred(kind: &str, weight: i64, term: &Value) -> Value {
    json!({ "spec": { "affinity": { kind: { "preferredDuringSchedulingIgnoredDuringExecution":
        [{ "weight": weight, "podAffinityTerm": term }] } } } })
}

fn app(mut fields: Value, app: &str) -> Value {
    fields["metadata"]["labels"]["app"] = app.into();
    fields
}

fn db_on(node: &str) -> Arc<Pod> {
    pod("db", &app(on(node, json!({})), "db"))
}

#[test]
fn m7_two_replicas_that_avoid_each_other_do_not_share_a_node() {
    let apart = required("podAntiAffinity", &[near(HOST, "web")]);
    let first = pod("first", &on("n", apart.clone()));
    assert_eq!(
        refusal(&json!({}), &[first], &pod("second", &apart)),
        format!("0/1 nodes are available: 1 node(s) didn't match pod anti-affinity rules. {NO_VICTIMS}")
    );
}

#[test]
fn unwanted_neighbours_keep_away_from_their_whole_topology() {
    let apart = |topology: &str| pod("p", &required("podAntiAffinity", &[near(topology, "db")]));
    assert_eq!(choose(&nodes(), &[db_on("a")], &apart(HOST)), Ok("b".into()));
    assert_eq!(choose(&nodes(), &[db_on("a")], &apart(ZONE)), Ok("c".into()));
    assert_eq!(choose(&nodes(), &[db_on("c")], &apart(ZONE)), Ok("a".into()));
    assert_eq!(
        choose(&nodes()[..1], &[db_on("a")], &apart("rack")),
        Ok("a".into()),
        "no such topology, nothing shared"
    );
}

#[test]
fn pods_that_run_keep_away_whom_they_do_not_want() {
    let hermit = pod("hermit", &app(on("n", required("podAntiAffinity", &[near(ZONE, "web")])), "db"));
    let labels = json!({ "metadata": { "labels": { ZONE: "1" } } });
    assert_eq!(
        refusal(&labels, std::slice::from_ref(&hermit), &pod("p", &json!({}))),
        format!("0/1 nodes are available: 1 node(s) didn't satisfy existing pods anti-affinity rules. {NO_VICTIMS}")
    );
    let other = pod("p", &app(json!({}), "other"));
    assert_eq!(choose(&[node("n", &labels)], &[hermit], &other), Ok("n".into()));
}

#[test]
fn wanted_neighbours_must_be_near() {
    let with = |terms: &[Value]| pod("p", &required("podAffinity", terms));
    assert_eq!(choose(&nodes(), &[db_on("c")], &with(&[near(HOST, "db")])), Ok("c".into()));
    assert_eq!(choose(&nodes(), &[db_on("b")], &with(&[near(ZONE, "db")])), Ok("a".into()));
    assert_eq!(
        refusal(&json!({}), &[], &with(&[near(HOST, "db")])),
        format!("0/1 nodes are available: 1 node(s) didn't match pod affinity rules. {NO_HELP}")
    );
    // One pod must match all terms; two that match one each do not make up for it.
    let halves = [db_on("a"), pod("cache", &app(on("a", json!({})), "cache"))];
    assert!(choose(&nodes(), &halves, &with(&[near(HOST, "db"), near(HOST, "cache")])).is_err());
    assert_eq!(choose(&nodes(), &[db_on("b")], &with(&[near(HOST, "db"), near(ZONE, "db")])), Ok("b".into()));
}

#[test]
fn the_first_of_pods_that_want_to_be_together_finds_a_place() {
    let together = required("podAffinity", &[near(ZONE, "web")]);
    let first = pod("first", &together);
    assert_eq!(choose(&nodes(), &[], &first), Ok("a".into()));
    assert!(choose(&[node("n", &json!({}))], &[], &first).is_err(), "but not where there is no such topology");
    let there = pod("there", &on("c", together));
    assert_eq!(choose(&nodes(), &[there], &first), Ok("c".into()), "the second goes to the first");
    let other = pod("other", &app(required("podAffinity", &[near(ZONE, "web")]), "db"));
    assert!(choose(&nodes(), &[], &other).is_err(), "whoever wants others waits for them");
}

#[test]
fn neighbours_are_of_the_named_namespaces_or_of_the_pods_own() {
    let mut cluster = cluster(&nodes(), &[]);
    for (name, team) in [("default", "x"), ("data", "y"), ("dev", "z")] {
        let namespace: Namespace =
            serde_json::from_value(json!({ "metadata": { "name": name, "labels": { "team": team } } })).unwrap();
        cluster.set_namespace(name, Some(&namespace));
    }
    let mut db = app(on("c", json!({})), "db");
    db["metadata"]["namespace"] = "data".into();
    let db = pod("db", &db);
    cluster.set_pod(&key(&db), Some(&db));
    let with = |fields: Value| {
        let mut term = near(HOST, "db");
        json_patch::merge(&mut term, &fields);
        choose_in(&cluster, &pod("p", &required("podAffinity", &[term])))
    };
    let team = |team: &str| json!({ "namespaceSelector": { "matchLabels": { "team": team } } });
    assert!(with(json!({})).is_err());
    assert_eq!(with(json!({ "namespaces": ["data", "dev"] })), Ok("c".into()));
    assert!(with(json!({ "namespaces": ["dev"] })).is_err());
    assert_eq!(with(json!({ "namespaceSelector": {} })), Ok("c".into()), "all namespaces");
    assert_eq!(with(team("y")), Ok("c".into()));
    assert!(with(team("z")).is_err());
    let mut both = team("z");
    both["namespaces"] = json!(["data"]);
    assert_eq!(with(both), Ok("c".into()), "either will do");
}

#[test]
fn a_term_without_a_selector_selects_nothing() {
    let term = json!({ "topologyKey": HOST });
    assert!(choose(&nodes(), &[db_on("a")], &pod("p", &required("podAffinity", std::slice::from_ref(&term)))).is_err());
    assert_eq!(choose(&nodes()[..1], &[db_on("a")], &pod("p", &required("podAntiAffinity", &[term]))), Ok("a".into()));
}

#[test]
fn liked_and_disliked_neighbours_decide_between_nodes() {
    let db = [db_on("b")];
    assert_eq!(choose(&nodes(), &db, &pod("p", &preferred("podAffinity", 1, &near(HOST, "db")))), Ok("b".into()));
    assert_eq!(choose(&nodes(), &db, &pod("p", &preferred("podAntiAffinity", 1, &near(ZONE, "db")))), Ok("c".into()));
    assert_eq!(choose(&nodes(), &db, &pod("p", &json!({}))), Ok("a".into()), "of equals the first");
    // It goes both ways.
    let likes = |fields: Value| [pod("db", &app(on("b", fields), "db"))];
    let plain = pod("p", &json!({}));
    assert_eq!(choose(&nodes(), &likes(preferred("podAffinity", 5, &near(HOST, "web"))), &plain), Ok("b".into()));
    assert_eq!(choose(&nodes(), &likes(preferred("podAntiAffinity", 5, &near(ZONE, "web"))), &plain), Ok("c".into()));
    assert_eq!(choose(&nodes(), &likes(required("podAffinity", &[near(HOST, "web")])), &plain), Ok("b".into()));
}
