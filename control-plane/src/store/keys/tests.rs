use super::*;

#[test]
fn objects_and_claims_lie_apart_below_the_root() {
    let keys = Keys::new("/registry/");
    assert_eq!(keys, Keys::new("/registry"));
    assert_eq!((keys.root(), keys.objects()), ("/registry/", "/registry/objects/"));
    assert_eq!(keys.collection("", "pods", ""), "/registry/objects/pods/");
    assert_eq!(keys.collection("", "pods", "default"), "/registry/objects/pods/default/");
    assert_eq!(keys.collection("apps", "deployments", "default"), "/registry/objects/apps/deployments/default/");
    let claims = keys.claims("serviceips");
    assert_eq!(claims, "/registry/claims/serviceips/");
    assert!(claims.starts_with(keys.root()) && !claims.starts_with(keys.objects()));
}

#[test]
fn messages_show_the_key_that_upstream_would_use() {
    let keys = Keys::new("/registry");
    assert_eq!(keys.shown("/registry/objects/pods/default/web"), "/registry/pods/default/web");
    assert_eq!(keys.shown("/elsewhere/x"), "/elsewhere/x");
}
