use http::Method;

use super::*;
use crate::{http::route, metrics::tests::sample};

fn call(method: Method, path: &str, query: &str) -> Call {
    let headers = HeaderMap::new();
    Call { method, path: path.to_owned(), query: Query::parse(query), headers, body: Bytes::new(), from: None }
}

fn asked(call: &Call) -> Account {
    let mut account = Account::open(call);
    account.routed(&route::find(&call.method, &call.path, &call.query).unwrap(), call);
    account
}

fn shown() -> String {
    let mut text = nodeplane_metrics::Text::default();
    crate::metrics::show(&mut text);
    text.finish()
}

#[test]
fn verbs_and_scopes_are_told_as_upstream_tells_them() {
    let pods = "/api/v1/namespaces/default/pods";
    let cases = [
        (Method::GET, "/api/v1/pods", "", ("LIST", "cluster")),
        (Method::HEAD, pods, "", ("LIST", "namespace")),
        (Method::GET, pods, "watch=true", ("WATCH", "namespace")),
        (Method::GET, "/api/v1/namespaces/default/pods/web", "", ("GET", "resource")),
        (Method::GET, "/api/v1/namespaces/default/pods/web/log", "", ("CONNECT", "resource")),
        (Method::POST, pods, "", ("POST", "resource")),
        (Method::DELETE, pods, "", ("DELETE", "namespace")),
        (Method::GET, "/version", "", ("GET", "")),
    ];
    for (method, path, query, expected) in cases {
        let account = asked(&call(method.clone(), path, query));
        assert_eq!((account.asked.verb, account.asked.scope), expected, "{method} {path}?{query}");
    }
    let mut apply = call(Method::PATCH, "/api/v1/namespaces/default/pods/web", "dryRun=All");
    apply.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/apply-patch+yaml"));
    let account = asked(&apply);
    assert_eq!((account.asked.verb, account.asked.dry_run, account.reads()), ("APPLY", "All", false));
}

#[test]
fn an_apply_whose_media_type_has_parameters_is_told_as_one() {
    for content_type in ["application/apply-patch+yaml; charset=utf-8", "application/apply-patch+yaml ;x=y"] {
        let mut apply = call(Method::PATCH, "/api/v1/namespaces/default/pods/web", "");
        apply.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        assert_eq!(asked(&apply).asked.verb, "APPLY", "{content_type}");
    }
    let mut patch = call(Method::PATCH, "/api/v1/namespaces/default/pods/web", "");
    patch.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/merge-patch+json"));
    assert_eq!(asked(&patch).asked.verb, "PATCH");
}

#[test]
fn what_a_client_chooses_is_no_label() {
    let strange = call(Method::from_bytes(b"BREW").unwrap(), "/api/v1/pods", "dryRun=Some&dryRun=All");
    let account = Account::open(&strange);
    assert_eq!(account.asked, Asked { verb: "other", ..Asked::default() });
    assert_eq!(dry_run(&strange.query), "invalid");
    let probe = asked(&call(Method::GET, "/readyz/anything", ""));
    assert_eq!(probe.asked.subresource, "/readyz");
}

#[test]
fn an_answer_counts_once_with_its_code_its_size_and_its_time() {
    // No other test asks for this.
    let call = call(Method::GET, "/apis/coordination.k8s.io/v1/leases", "dryRun=Some");
    asked(&call).close(&call, Reply::ok("application/json", vec![b' '; 2000]));
    let text = shown();
    let labels = "component=\"apiserver\",dry_run=\"invalid\",group=\"coordination.k8s.io\",resource=\"leases\",\
                  scope=\"cluster\",subresource=\"\",verb=\"LIST\",version=\"v1\"";
    let number = |name: &str| sample(&text, name);
    assert_eq!(number(&format!("apiserver_request_total{{code=\"200\",{labels}}}")), 1.0);
    assert_eq!(number(&format!("apiserver_request_duration_seconds_bucket{{{labels},le=\"60\"}}")), 1.0);
    assert_eq!(number(&format!("apiserver_request_duration_seconds_count{{{labels}}}")), 1.0);
}

#[tokio::test]
async fn a_stream_counts_when_it_ends_and_runs_until_then() {
    let call = call(Method::GET, "/apis/coordination.k8s.io/v1/leases", "watch=1");
    let labels = "component=\"apiserver\",group=\"coordination.k8s.io\",resource=\"leases\",scope=\"cluster\",\
                  subresource=\"\",verb=\"WATCH\",version=\"v1\"";
    let running = || sample(&shown(), &format!("apiserver_longrunning_requests{{{labels}}}"));
    let answered = || {
        let (before, after) = labels.split_once(",group").unwrap();
        sample(&shown(), &format!("apiserver_request_total{{code=\"200\",{before},dry_run=\"\",group{after}}}"))
    };
    let before = (running(), answered());
    let stream = futures::stream::iter([Ok(Bytes::from_static(b"x"))]);
    let reply = asked(&call).close(&call, Reply::growing("application/json", stream));
    let Body::Growing(mut stream) = reply.body else { panic!("it is whole") };
    assert_eq!((running(), answered()), (before.0 + 1.0, before.1));
    assert_eq!(stream.next().await.unwrap().unwrap(), "x");
    drop(stream);
    assert_eq!((running(), answered()), (before.0, before.1 + 1.0));
}

#[test]
fn a_call_keeps_its_audit_id_or_gets_one() {
    let mut headers = HeaderMap::new();
    let made = audit_id(&mut headers);
    assert_eq!(made.to_str().unwrap().len(), 36);
    assert_eq!(headers[AUDIT_ID], made);
    assert_eq!(audit_id(&mut headers), made);
}
