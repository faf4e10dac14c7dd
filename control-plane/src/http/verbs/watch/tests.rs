//! Bookmarks in the course of a long watch, with less patience than clients have.

use futures::StreamExt;
use http::Method;
use serde_json::Value;

use super::*;
use crate::{
    access::Caller,
    http::{
        route::{self, Route},
        tests::bed::{self, Bed, CONFIG_MAPS, config_map, rv, text},
    },
};

#[tokio::test]
async fn a_watch_that_shows_nothing_still_says_how_far_it_is() {
    let bed = Bed::start().await;
    let call = bed::Ask::new(Method::GET, &format!("{CONFIG_MAPS}?watch=1&allowWatchBookmarks=1&labelSelector=a")).0;
    let route = route::find(&call.method, &call.path, &call.query).unwrap();
    let Route::Resource(request) = route else { panic!("{route:?}") };
    let permit = bed.api.authority.permit(Caller::component("admin"), request).await.unwrap();
    let ask = Ask::new(&bed.api, &permit, &call).unwrap();

    let asked =
        Asked { bookmark_every: Duration::from_millis(20), ..Asked::read(&call.query, bed.api.bounds.watch).unwrap() };
    let selection = Selection::read(&ask).unwrap();
    let writer = EventWriter { kind: ask.kind(), form: ask.form, include: include(&ask), has_headings: false };
    let (initial, watch) = open(&ask, &selection.scope, asked.start).await.unwrap();
    let following =
        Following { asked, selection, writer, stop: bed.api.stop.child_token(), sent: watches::sent(ask.kind()) };
    let mut stream = std::pin::pin!(following.run(initial, watch));
    let mut bookmark = async || -> Value {
        let piece = stream.next().await.unwrap().unwrap();
        let event: Value = serde_json::from_slice(&piece).unwrap();
        assert_eq!((text(&event, "/type"), text(&event, "/object/kind")), ("BOOKMARK", "ConfigMap"));
        event["object"].clone()
    };
    let first = bookmark().await;
    let unseen = bed.post(CONFIG_MAPS, config_map("x")).await.created();
    // The cache hears of it a little later; from then on bookmarks say so.
    let mut last = bookmark().await;
    for _ in 0..500 {
        if rv(&last) >= rv(&unseen) {
            break;
        }
        last = bookmark().await;
    }
    assert!(rv(&last) >= rv(&unseen) && rv(&unseen) > rv(&first));
}
