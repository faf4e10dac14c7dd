//! New objects: names, namespaces, validation, dry runs, reservations.

use http::{Method, header};
use serde_json::{Value, json};

use super::bed::{Ask, Bed, CONFIG_MAPS, DEPLOYMENTS, PODS, SERVICES, config_map, deployment, pod, service, text};

#[tokio::test]
async fn the_server_gives_what_only_it_may_give() {
    let bed = Bed::start().await;
    let mut object = deployment("web");
    object["metadata"]["uid"] = "mine".into();
    object["metadata"]["creationTimestamp"] = "2001-01-01T00:00:00Z".into();
    object["metadata"]["generation"] = 7.into();
    object["metadata"]["deletionTimestamp"] = "2001-01-01T00:00:00Z".into();
    object["metadata"]["selfLink"] = "/mine".into();
    object["status"] = json!({ "replicas": 9 });
    let created = bed.post(DEPLOYMENTS, object).await.created();
    assert_ne!(text(&created, "/metadata/uid"), "mine");
    assert!(text(&created, "/metadata/creationTimestamp") > "2020");
    assert_eq!(created["metadata"]["generation"], 1);
    assert!(created["metadata"].get("deletionTimestamp").is_none());
    assert!(created["metadata"].get("selfLink").is_none());
    assert!(created["status"].get("replicas").is_none_or(|replicas| *replicas == 0));
    assert_eq!(created["spec"]["replicas"], 1);
}

#[tokio::test]
async fn a_name_can_be_generated() {
    let bed = Bed::start().await;
    let long = "a-base-that-is-longer-than-what-a-label-of-dns-has-room-for-really-";
    for base in ["web-", long] {
        let object = json!({ "metadata": { "generateName": base } });
        let created = bed.post(CONFIG_MAPS, object).await.created();
        let name = text(&created, "/metadata/name");
        let kept = &base[..base.len().min(58)];
        let random = name.strip_prefix(kept).unwrap();
        assert_eq!(random.len(), 5, "{name}");
        assert!(random.bytes().all(|byte| b"bcdfghjklmnpqrstvwxz2456789".contains(&byte)), "{name}");
        assert_eq!(text(&created, "/metadata/generateName"), base);
    }
}

#[tokio::test]
async fn the_namespace_is_that_of_the_path() {
    let bed = Bed::start().await;
    let created = bed.post(CONFIG_MAPS, config_map("a")).await.created();
    assert_eq!(text(&created, "/metadata/namespace"), "default");
    let mut other = config_map("b");
    other["metadata"]["namespace"] = "other".into();
    let refused = bed.post(CONFIG_MAPS, other).await.failed(400, "BadRequest");
    assert_eq!(refused, "the namespace of the provided object does not match the namespace sent on the request");
    let missing = bed.post("/api/v1/namespaces/nowhere/configmaps", config_map("c")).await.failed(404, "NotFound");
    assert_eq!(missing, "namespaces \"nowhere\" not found");
    bed.post("/api/v1/configmaps", config_map("d")).await.failed(405, "MethodNotAllowed");
}

#[tokio::test]
async fn a_namespace_on_its_way_out_takes_nothing_new() {
    let bed = Bed::start().await;
    bed.post("/api/v1/namespaces", json!({ "metadata": { "name": "old" } })).await.created();
    bed.delete("/api/v1/namespaces/old").await.ok();
    let refused = bed.post("/api/v1/namespaces/old/configmaps", config_map("a")).await;
    assert_eq!(refused.body["details"]["causes"][0]["reason"], "NamespaceTerminating");
    assert_eq!(
        refused.failed(403, "Forbidden"),
        "configmaps \"a\" is forbidden: unable to create new content in namespace old because it is being terminated"
    );
}

#[tokio::test]
async fn a_bad_object_is_told_field_by_field_and_not_stored() {
    let bed = Bed::start().await;
    let mut bad = deployment("web");
    bad["spec"]["replicas"] = (-1).into();
    let refused = bed.post(DEPLOYMENTS, bad).await;
    let details = &refused.body["details"];
    assert_eq!(
        (text(details, "/group"), text(details, "/kind"), text(details, "/name")),
        ("apps", "Deployment", "web")
    );
    assert_eq!(text(details, "/causes/0/reason"), "FieldValueInvalid");
    assert_eq!(text(details, "/causes/0/field"), "spec.replicas");
    assert_eq!(
        refused.failed(422, "Invalid"),
        "Deployment.apps \"web\" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0"
    );
    bed.get(&format!("{DEPLOYMENTS}/web")).await.failed(404, "NotFound");

    let unnamed = bed.post(CONFIG_MAPS, json!({ "metadata": {} })).await.failed(422, "Invalid");
    assert_eq!(unnamed, "ConfigMap \"\" is invalid: metadata.name: Required value: name or generateName is required");
    let named = bed.post(CONFIG_MAPS, config_map("Upper")).await.failed(422, "Invalid");
    assert!(named.contains("metadata.name: Invalid value: \"Upper\": a lowercase RFC 1123 subdomain"), "{named}");
}

#[tokio::test]
async fn a_body_that_is_no_such_object_is_refused_in_the_words_of_a_decoder() {
    let bed = Bed::start().await;
    let refused = async |body: &str| {
        bed.send(Ask::new(Method::POST, PODS).raw_body(body.to_owned())).await.failed(400, "BadRequest")
    };
    assert!(refused("").await.ends_with("(<empty>)"));
    let broken = refused("{\"kind\":").await;
    assert!(broken.starts_with("the object provided is unrecognized (must be of type Pod): "), "{broken}");
    assert!(broken.ends_with("({\"kind\":)"), "{broken}");
    assert!(refused("[]").await.contains("must be of type Pod"));
    assert_eq!(
        refused("{\"kind\":\"Pod\",\"apiVersion\":\"v2\"}").await,
        "the API version in the data (v2) does not match the expected API version (v1)"
    );
    assert_eq!(
        refused("{\"kind\":\"Nonsense\",\"apiVersion\":\"v1\"}").await,
        "Nonsense in version \"v1\" cannot be handled as a Pod: no kind \"Nonsense\" is registered for version \"v1\""
    );
    assert!(refused("{\"kind\":\"Service\",\"apiVersion\":\"v1\"}").await.contains("unknown conversion"));
    assert_eq!(
        refused("{\"spec\":{\"containers\":[{\"name\":1}]}}").await,
        "Pod in version \"v1\" cannot be handled as a Pod: json: cannot unmarshal number into Go struct field \
         Container.spec.containers.name of type string"
    );
}

#[tokio::test]
async fn unknown_and_duplicate_fields_fail_warn_or_pass_as_asked() {
    let bed = Bed::start().await;
    let body = "{\"metadata\":{\"name\":\"a\"},\"data\":{\"a\":\"1\",\"a\":\"2\"},\"datas\":{},\"x\":1}";
    let send = |level: &str| {
        let path = format!("{CONFIG_MAPS}?dryRun=All&fieldValidation={level}");
        bed.send(Ask::new(Method::POST, &path).raw_body(body))
    };
    assert_eq!(
        send("Strict").await.failed(400, "BadRequest"),
        "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict decoding error: duplicate field \
         \"data.a\", unknown field \"datas\", unknown field \"x\""
    );
    let warned = send("Warn").await;
    assert_eq!(
        warned.warnings(),
        ["duplicate field \\\"data.a\\\"", "unknown field \\\"datas\\\"", "unknown field \\\"x\\\""]
            .map(|words| format!("299 - \"{words}\""))
    );
    assert_eq!(warned.created()["data"]["a"], "2");
    let ignored = send("Ignore").await;
    assert!(ignored.warnings().is_empty());
    ignored.created();
    assert_eq!(
        send("Perhaps").await.failed(422, "Invalid"),
        "CreateOptions.meta.k8s.io \"\" is invalid: fieldValidation: Unsupported value: \"Perhaps\": supported values: \
         \"\", \"Ignore\", \"Strict\", \"Warn\""
    );
}

#[tokio::test]
async fn a_dry_run_does_everything_but_store() {
    let bed = Bed::start().await;
    let before = bed.store.revision().await.unwrap();
    let tried = bed.post(&format!("{SERVICES}?dryRun=All"), service("web")).await.created();
    assert!(text(&tried, "/spec/clusterIP").starts_with("10.96.0."));
    assert_eq!(text(&tried, "/metadata/uid").len(), 36);
    assert!(tried["metadata"].get("resourceVersion").is_none());
    bed.get(&format!("{SERVICES}/web")).await.failed(404, "NotFound");
    assert_eq!(bed.store.revision().await.unwrap(), before);

    bed.post(SERVICES, service("web")).await.created();
    let taken = bed.post(&format!("{SERVICES}?dryRun=All"), service("web")).await;
    assert_eq!(taken.failed(409, "AlreadyExists"), "services \"web\" already exists");
    let odd = bed.post(&format!("{SERVICES}?dryRun=Some"), service("b")).await.failed(422, "Invalid");
    assert!(odd.contains("dryRun: Unsupported value: []string{\"Some\"}: supported values: \"All\""), "{odd}");
}

#[tokio::test]
async fn what_a_failed_create_reserved_is_free_again() {
    let bed = Bed::start().await;
    let with_address = |name: &str, port: i64| {
        let mut service = service(name);
        service["spec"]["clusterIP"] = "10.96.0.77".into();
        service["spec"]["ports"][0]["port"] = port.into();
        service
    };
    bed.post(SERVICES, with_address("bad", 0)).await.failed(422, "Invalid");
    bed.post(SERVICES, with_address("Bad-Name", 80)).await.failed(422, "Invalid");
    bed.post(SERVICES, with_address("good", 80)).await.created();
    let taken = bed.post(SERVICES, with_address("late", 80)).await.failed(422, "Invalid");
    assert!(taken.contains("spec.clusterIPs: Invalid value:") && taken.contains("already allocated"), "{taken}");
    bed.delete(&format!("{SERVICES}/good")).await.ok();
    bed.post(SERVICES, with_address("late", 80)).await.created();
}

#[tokio::test]
async fn many_services_at_once_never_share_an_address() {
    let bed = Bed::start().await;
    let names: Vec<String> = (0..40).map(|number| format!("s{number}")).collect();
    let created = futures::future::join_all(names.iter().map(|name| bed.post(SERVICES, service(name)))).await;
    let mut addresses: Vec<String> =
        created.into_iter().map(|answer| text(&answer.created(), "/spec/clusterIP").to_owned()).collect();
    addresses.sort();
    addresses.dedup();
    assert_eq!(addresses.len(), 40);
}

#[tokio::test]
async fn an_object_with_a_revision_is_not_new() {
    let bed = Bed::start().await;
    let mut object = config_map("a");
    object["metadata"]["resourceVersion"] = "5".into();
    let refused = bed.post(CONFIG_MAPS, object).await.failed(500, "");
    assert_eq!(refused, "resourceVersion should not be set on objects to be created");
}

#[tokio::test]
async fn yaml_is_as_good_as_json() {
    let bed = Bed::start().await;
    let yaml = "kind: ConfigMap\napiVersion: v1\nmetadata: {name: a}\ndata:\n  text: |\n    one\n    two\n";
    let ask = Ask::new(Method::POST, CONFIG_MAPS).raw_body(yaml).header(header::CONTENT_TYPE, "application/yaml");
    assert_eq!(bed.send(ask).await.created()["data"]["text"], "one\ntwo\n");
    let ask = Ask::new(Method::POST, CONFIG_MAPS).raw_body("a").header(header::CONTENT_TYPE, "text/plain");
    assert_eq!(
        bed.send(ask).await.failed(415, "UnsupportedMediaType"),
        "the body of the request was in an unknown format - accepted media types include: application/json, \
         application/yaml, application/vnd.kubernetes.protobuf"
    );
}

#[tokio::test]
async fn a_pod_needs_its_service_account() {
    let bed = Bed::start().await;
    let created = bed.post(PODS, pod("a")).await.created();
    assert_eq!(text(&created, "/spec/serviceAccountName"), "default");
    assert_eq!(text(&created, "/status/phase"), "Pending");
    let mut other: Value = pod("b");
    other["spec"]["serviceAccountName"] = "robot".into();
    assert_eq!(
        bed.post(PODS, other).await.failed(403, "Forbidden"),
        "pods \"b\" is forbidden: error looking up service account default/robot: serviceaccount \"robot\" not found"
    );
}

/// A body of less than a megabyte named a field of its own length twenty thousand times.
#[tokio::test]
async fn complaints_are_no_longer_than_anybody_reads() {
    let bed = Bed::start().await;
    let twice = r#""a":1,"#.repeat(20_000);
    let body = format!(
        r#"{{"metadata":{{"name":"a"}},"data":{{"k":"v"}},"{}":{{{}"a":1}},{}"z":1}}"#,
        "x".repeat(700_000),
        twice,
        (0..20_000).map(|n| format!(r#""unknown{n}":1,"#)).collect::<String>(),
    );
    for (validation, code) in [("Warn", 201), ("Strict", 400), ("Ignore", 409)] {
        let path = format!("{CONFIG_MAPS}?fieldValidation={validation}");
        let answer = bed.send(Ask::new(Method::POST, &path).raw_body(body.clone())).await;
        assert_eq!(answer.code, code, "{validation}");
        assert!(answer.warnings().iter().map(String::len).sum::<usize>() < 8192);
        assert!(answer.text.len() < 2 << 20, "{}", answer.text.len());
    }
}

#[tokio::test]
async fn yaml_that_unfolds_to_more_than_a_body_is_refused() {
    let bed = Bed::start().await;
    let list = |item: &str, count: usize| vec![item; count].join(", ");
    let bomb = format!("a: &a [{}]\nb: &b [{}]\nc: [{}]\n", list("x", 1500), list("*a", 300), list("*b", 10));
    let ask = Ask::new(Method::POST, CONFIG_MAPS).raw_body(bomb).header(header::CONTENT_TYPE, "application/yaml");
    let refused = bed.send(ask).await.failed(400, "BadRequest");
    assert!(refused.contains("its aliases stand for more than the limit"), "{refused}");
}
