//! Who may do what, who is who, and how one becomes somebody.

use anyhow::{Context as _, Result, ensure};
use nodeplane_tests::bed::{
    cluster::{Cluster, PATIENCE},
    process::run,
    wait,
};
use serde_json::{Value, json};

use super::{pod, pods::finished, scenarios};

scenarios![
    can_i_says_what_is_so,
    whoami_names_the_caller,
    a_token_lets_an_account_look_at_the_api_and_no_more,
    a_certificate_is_approved_signed_and_good,
    a_certificate_is_denied,
    the_components_are_healthy,
    a_pod_finds_its_token_unless_it_declines,
];

/// Asked for by `O=dev, O=ops, CN=jane`.
const REQUEST: &str = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlIbE1JR05BZ0VBTUNzeEREQUtCZ05WQkFvTUEyUmxkakVN\
    TUFvR0ExVUVDZ3dEYjNCek1RMHdDd1lEVlFRRApEQVJxWVc1bE1Ga3dFd1lIS29aSXpqMENBUVlJS29aSXpqMERBUWNEUWdBRW5yMzgvT3lzenpVWGJpOFN4\
    ZXFYCjhVNTFxOFZGUnBSR1VpbHRQVmVERHRDcjVYT251a3A1NmlkcW9UT3hST3RKTTRnQURjMGRvWU41UklsanB4TzIKT2FBQU1Bb0dDQ3FHU000OUJBTUNB\
    MGNBTUVRQ0lDTnVHbFRIMkVPT00xNkZqTGtHSHZSS3ppME1HTnhDeFd0UQovR2ZjZjJHNUFpQUJXaFFYZHFzbGlHRnJtQW1pazNpeWphN0x4cVdHKy9SdkUv\
    Q2NhLzlLQ1E9PQotLS0tLUVORCBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0K";

fn can_i_says_what_is_so(cluster: &Cluster, ns: &str) -> Result<()> {
    let can_i = |args: &[&str]| cluster.kubectl(&[&["auth", "can-i", "-n", ns], args].concat());
    for args in [&["create", "pods"][..], &["*", "*"], &["get", "pods", "--subresource=log"], &["get", "/livez"]] {
        let answer = can_i(args)?;
        ensure!((answer.code, answer.stdout.as_str()) == (0, "yes\n"), "{args:?}: {}{}", answer.stdout, answer.stderr);
    }
    for args in [&["create", "pods", "--as=jane"][..], &["*", "*", "--as=jane"], &["get", "secrets", "--as=jane"]] {
        let answer = can_i(args)?;
        ensure!((answer.code, answer.stdout.as_str()) == (1, "no\n"), "{args:?}: {}{}", answer.stdout, answer.stderr);
    }
    let all = can_i(&["--list"])?.success(&["--list"])?;
    let row = all.lines().find(|line| line.starts_with("*.*"));
    ensure!(row.is_some_and(|row| row.ends_with("[*]")), "{all}");
    let own = can_i(&["--list", "--as=jane"])?.success(&["--list", "--as=jane"])?;
    ensure!(own.contains("selfsubjectaccessreviews.authorization.k8s.io") && !own.contains("*.*"), "{own}");
    Ok(())
}

fn whoami_names_the_caller(cluster: &Cluster, _: &str) -> Result<()> {
    let own = cluster.run(&["auth", "whoami"])?;
    ensure!(own.contains("admin") && own.contains("system:masters"), "{own}");
    let other = cluster.run(&["auth", "whoami", "--as=jane", "--as-group=dev", "-o", "json"])?;
    let user = serde_json::from_str::<Value>(&other)?["status"]["userInfo"].take();
    ensure!(user == json!({ "username": "jane", "groups": ["dev", "system:authenticated"] }), "{user}");
    Ok(())
}

/// What the API answers to the holder of a token: the code and the body.
fn show(cluster: &Cluster, token: &str, path: &str) -> Result<Value> {
    let mut command = cluster.host().command("curl");
    let bearer = format!("Authorization: Bearer {token}");
    let answer =
        run(command.args(["--silent", "--insecure", "-H", &bearer, &format!("https://127.0.0.1:6443{path}")]))?;
    serde_json::from_str(&answer).context(answer)
}

fn a_token_lets_an_account_look_at_the_api_and_no_more(cluster: &Cluster, ns: &str) -> Result<()> {
    cluster.run(&["create", "serviceaccount", "robot", "-n", ns])?;
    let create = |args: &[&str]| cluster.kubectl(&[&["create", "token", "robot", "-n", ns], args].concat());
    let token = create(&[])?.success(&["create", "token"])?;
    let token = token.trim();
    ensure!(show(cluster, token, "/apis")?["kind"] == "APIGroupList");
    let refused = show(cluster, token, &format!("/api/v1/namespaces/{ns}/secrets"))?;
    let user = format!("User \"system:serviceaccount:{ns}:robot\" cannot list resource \"secrets\"");
    ensure!(refused["message"].as_str().is_some_and(|message| message.contains(&user)), "{refused}");
    let short = create(&["--duration=5m"])?.failure()?;
    ensure!(short.contains("may not specify a duration less than 10 minutes"), "{short}");
    cluster.run(&["delete", "serviceaccount", "robot", "-n", ns])?;
    wait::eventually("the token has ended with its account", PATIENCE, || {
        let refused = show(cluster, token, "/apis")?;
        ensure!(refused["code"] == 401, "{refused}");
        Ok(())
    })
}

/// A request under this name, as administrators ask for one.
fn ask_for_certificate(cluster: &Cluster, name: &str) -> Result<()> {
    let request = json!({
        "apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "metadata": { "name": name },
        "spec": { "signerName": "kubernetes.io/kube-apiserver-client", "usages": ["client auth"], "request": REQUEST,
                  "expirationSeconds": 3600 },
    });
    cluster.create("default", &request.to_string())?.success(&["create"]).map(drop)
}

/// The last column of `kubectl get csr`.
fn condition(cluster: &Cluster, name: &str) -> Result<String> {
    let row = cluster.run(&["get", "csr", name, "--no-headers"])?;
    Ok(row.split_whitespace().last().unwrap_or_default().to_owned())
}

fn a_certificate_is_approved_signed_and_good(cluster: &Cluster, ns: &str) -> Result<()> {
    ask_for_certificate(cluster, ns)?;
    let table = cluster.run(&["get", "csr", ns])?;
    let headings: Vec<&str> = table.lines().next().unwrap_or_default().split_whitespace().collect();
    ensure!(headings == ["NAME", "AGE", "SIGNERNAME", "REQUESTOR", "REQUESTEDDURATION", "CONDITION"], "{table}");
    ensure!(condition(cluster, ns)? == "Pending");
    let said = cluster.run(&["certificate", "approve", ns])?;
    ensure!(said == format!("certificatesigningrequest.certificates.k8s.io/{ns} approved\n"), "{said}");
    wait::eventually("it is signed", PATIENCE, || {
        let condition = condition(cluster, ns)?;
        ensure!(condition == "Approved,Issued", "{condition}");
        Ok(())
    })?;
    let issued = cluster.get("csr", ns)?["status"]["certificate"].as_str().unwrap_or_default().to_owned();
    ensure!(issued.starts_with("LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t"), "{issued}");
    cluster.run(&["delete", "csr", ns]).map(drop)
}

fn a_certificate_is_denied(cluster: &Cluster, ns: &str) -> Result<()> {
    ask_for_certificate(cluster, ns)?;
    let said = cluster.run(&["certificate", "deny", ns])?;
    ensure!(said == format!("certificatesigningrequest.certificates.k8s.io/{ns} denied\n"), "{said}");
    ensure!(condition(cluster, ns)? == "Denied");
    let refused = cluster.kubectl(&["certificate", "approve", ns])?.failure()?;
    ensure!(refused.contains("is already Denied"), "{refused}");
    cluster.run(&["delete", "csr", ns]).map(drop)
}

fn the_components_are_healthy(cluster: &Cluster, _: &str) -> Result<()> {
    let answer = cluster.kubectl(&["get", "cs"])?;
    ensure!(answer.stderr.contains("Warning: v1 ComponentStatus is deprecated in v1.19+"), "{}", answer.stderr);
    for name in ["controller-manager", "scheduler", "etcd-0"] {
        let row = answer.stdout.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        let cells: Vec<&str> = row.split_whitespace().collect();
        ensure!(cells == [name, "Healthy", "ok"], "{}", answer.stdout);
    }
    Ok(())
}

fn a_pod_finds_its_token_unless_it_declines(cluster: &Cluster, ns: &str) -> Result<()> {
    let script = "test -d /var/run/secrets/kubernetes.io/serviceaccount || exit 0; \
                  cd /var/run/secrets/kubernetes.io/serviceaccount; \
                  cat namespace; echo; test -s token && test -s ca.crt && echo found";
    cluster.apply(ns, &pod("open", script, |_| ()))?;
    cluster.apply(ns, &pod("shy", script, |spec| spec["automountServiceAccountToken"] = false.into()))?;
    for (name, expected) in [("open", format!("{ns}\nfound\n")), ("shy", String::new())] {
        let log = finished(cluster, ns, name)?;
        ensure!(log == expected, "{name}: {log}");
    }
    Ok(())
}
