//! What everybody may do, and what is told of it in advance.

use nodeplane_api::kinds::Verb;

use super::{cases::request, *};

fn caller(groups: &[&str]) -> Caller {
    Caller::named("somebody", groups.iter().map(|group| (*group).to_owned()).collect())
}

fn authority() -> Authority {
    Authority::new(Vec::new())
}

#[tokio::test]
async fn everybody_with_a_name_may_ask_about_themselves_and_nothing_else() {
    let (authority, named, nobody) = (authority(), caller(&[AUTHENTICATED]), caller(&[UNAUTHENTICATED]));
    for plural in ["selfsubjectreviews", "selfsubjectaccessreviews", "selfsubjectrulesreviews"] {
        let asked = request(Verb::Create, plural, "", None);
        assert!(authority.decide(&named, Asked::Objects(&asked)).await.is_ok(), "{plural}");
        assert!(authority.decide(&nobody, Asked::Objects(&asked)).await.is_err(), "{plural}");
    }
    for (plural, place) in
        [("subjectaccessreviews", ""), ("tokenreviews", ""), ("pods", "default/"), ("localsubjectaccessreviews", "x/")]
    {
        let asked = request(Verb::Create, plural, place, None);
        assert!(authority.decide(&named, Asked::Objects(&asked)).await.is_err(), "{plural}");
    }
}

#[tokio::test]
async fn only_administrators_may_what_the_api_does_not_serve() {
    let asked = Attributes { verb: "*".to_owned(), resource: "*".to_owned(), ..Attributes::default() };
    let decide = async |caller: &Caller| authority().decide(caller, Asked::Unserved(&asked)).await.is_ok();
    assert!(decide(&caller(&[MASTERS])).await);
    assert!(!decide(&caller(&[AUTHENTICATED])).await);
}

#[tokio::test]
async fn paths_about_the_api_are_only_read() {
    let named = caller(&[AUTHENTICATED]);
    let decide = async |verb| authority().decide(&named, Asked::Path { path: "/apis/apps", verb }).await.is_ok();
    assert!(decide("get").await && decide("head").await);
    assert!(!decide("post").await && !decide("*").await);
}

#[tokio::test]
async fn rules_say_what_is_true_for_the_caller() {
    let authority = authority();
    let of = async |groups: &[&str]| authority.rules(&caller(groups), "default").await;
    let master = of(&[MASTERS]).await;
    assert_eq!(master.resources, [ResourceRule::new(&["*"], &["*"], &["*"])]);
    assert!(master.paths.contains(&PathRule::new(&["*"], &["*"])));
    let named = of(&[AUTHENTICATED]).await;
    let resources: Vec<_> = named.resources.iter().flat_map(|rule| rule.resources.clone()).collect();
    assert_eq!(resources, ["selfsubjectreviews", "selfsubjectaccessreviews", "selfsubjectrulesreviews"]);
    assert!(named.unknown.is_empty());
    let nobody = of(&[UNAUTHENTICATED]).await;
    assert_eq!((nobody.resources.len(), nobody.paths[0].urls.len()), (0, 4));
}
