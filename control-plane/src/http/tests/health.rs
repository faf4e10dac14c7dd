//! Probes: upstream's texts, word for word.

use http::header;

use super::bed::Bed;

const HOOKS: &str = "[+]poststarthook/bootstrap-controller ok\n\
    [+]poststarthook/start-cluster-authentication-info-controller ok\n\
    [+]poststarthook/start-system-namespaces-controller ok\n";

#[tokio::test]
async fn a_server_that_is_well_says_so_in_two_letters_and_in_full_when_asked() {
    let bed = Bed::start().await;
    for probe in ["healthz", "livez", "readyz"] {
        let answer = bed.get(&format!("/{probe}")).await;
        assert_eq!((answer.code, answer.text.as_str()), (200, "ok"), "{probe}");
        assert_eq!(answer.headers[header::CONTENT_TYPE], "text/plain; charset=utf-8");
        assert_eq!(answer.headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    }
    let live = format!("[+]ping ok\n[+]log ok\n[+]etcd ok\n{HOOKS}livez check passed\n");
    assert_eq!(bed.get("/livez?verbose").await.text, live);
    // As kubectl writes it.
    assert_eq!(bed.get("/livez?verbose=").await.text, live);
    let ready = format!(
        "[+]ping ok\n[+]log ok\n[+]etcd ok\n[+]etcd-readiness ok\n[+]informer-sync ok\n{HOOKS}[+]shutdown ok\n\
         readyz check passed\n"
    );
    assert_eq!(bed.get("/readyz?verbose").await.text, ready);
}

#[tokio::test]
async fn every_check_has_a_path_of_its_own() {
    let bed = Bed::start().await;
    for path in ["/readyz/ping", "/readyz/shutdown", "/livez/etcd", "/livez/poststarthook/bootstrap-controller"] {
        let answer = bed.get(path).await;
        assert_eq!((answer.code, answer.text.as_str()), (200, "ok"), "{path}");
    }
    for path in ["/readyz/nonsense", "/livez/shutdown", "/livez/poststarthook"] {
        bed.get(path).await.no_such_path();
    }
}

#[tokio::test]
async fn a_server_that_ends_is_alive_but_not_ready() {
    let bed = Bed::start().await;
    bed.api.closing.cancel();
    let answer = bed.get("/readyz").await;
    let report = format!(
        "[+]ping ok\n[+]log ok\n[+]etcd ok\n[+]etcd-readiness ok\n[+]informer-sync ok\n{HOOKS}\
         [-]shutdown failed: reason withheld\nreadyz check failed\n"
    );
    assert_eq!((answer.code, answer.text), (500, report));
    assert_eq!(answer.headers[header::CONTENT_TYPE], "text/plain; charset=utf-8");
    let one = bed.get("/readyz/shutdown").await;
    assert_eq!((one.code, one.text.as_str()), (500, "internal server error: process is shutting down\n"));
    assert_eq!(bed.get("/livez").await.text, "ok");
    assert_eq!(bed.get("/readyz?exclude=shutdown").await.text, "ok");
    assert!(!bed.api.is_ready());
}

#[tokio::test]
async fn checks_can_be_left_out_and_unknown_ones_are_named() {
    let bed = Bed::start().await;
    let text = bed.get("/livez?verbose&exclude=log&exclude=foo&exclude=a\"b&exclude=foo").await.text;
    let expected = format!(
        "[+]ping ok\n[+]log excluded: ok\n[+]etcd ok\n{HOOKS}\
         warn: some health checks cannot be excluded: no matches for \"a\\\"b\",\"foo\"\nlivez check passed\n"
    );
    assert_eq!(text, expected);
    assert_eq!(bed.get("/livez?exclude=foo").await.text, "ok");
}

#[tokio::test]
async fn a_cluster_without_its_own_objects_is_not_well() {
    let bed = Bed::start().await;
    bed.api.health.set_bootstrapped(false);
    let one = bed.get("/healthz/poststarthook/start-system-namespaces-controller").await;
    assert_eq!((one.code, one.text.as_str()), (500, "internal server error: not finished\n"));
    assert_eq!(bed.get("/healthz").await.code, 500);
    bed.api.health.set_bootstrapped(true);
    assert_eq!(bed.get("/healthz").await.code, 200);
}
