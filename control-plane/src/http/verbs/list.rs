//! Many objects as of one revision, page by page.

use nodeplane_api::status::{FieldErrors, Status};
use serde_json::{Value, json};

use super::{answer, ask::Ask, options::META_GROUP, page::Place, revision::Wanted, selection::Selection};
use crate::{
    http::{call::Query, reply::Reply},
    store::{
        StoreError,
        object::Object,
        watch_cache::{Freshness, Keep, List, Part},
    },
};

/// Part of a list.
pub(super) struct Page {
    /// The objects, in key order.
    pub(super) objects: Vec<Object>,
    /// As of when.
    pub(super) revision: u64,
    /// The token of the next page.
    next: Option<String>,
    /// How many follow, when that is known.
    remaining: Option<usize>,
}

impl Page {
    /// All there is, of objects that are not stored.
    pub(super) fn whole(objects: Vec<Object>) -> Self {
        Self { objects, revision: 0, next: None, remaining: None }
    }

    /// `.metadata` of the list.
    pub(super) fn metadata(&self) -> Value {
        let mut metadata = match self.revision {
            0 => json!({}),
            revision => json!({ "resourceVersion": revision.to_string() }),
        };
        if let Some(next) = &self.next {
            metadata["continue"] = next.as_str().into();
        }
        if let Some(remaining) = self.remaining {
            metadata["remainingItemCount"] = remaining.into();
        }
        metadata
    }
}

/// Answers with the objects of the path that the selectors choose.
///
/// # Errors
/// 400, 410 and 422 for parameters, 504 for a revision that has not happened.
pub(super) async fn list(ask: &Ask<'_>) -> Result<Reply, Status> {
    let selection = Selection::read(ask)?;
    let page = fetch(ask, &selection).await?;
    answer::list(ask, page).await
}

/// Reads the page that the query asks for.
///
/// # Errors
/// As [`list`].
pub(super) async fn fetch(ask: &Ask<'_>, selection: &Selection) -> Result<Page, Status> {
    let asked = Asked::read(&ask.call.query)?;
    let start = asked.place.as_ref().map(|place| format!("{}{}", selection.collection, place.start));
    let keep: &Keep<'_> = &|object| selection.matches(object);
    let part = Part { start: start.as_deref(), limit: asked.limit, keep: (!selection.is_everything()).then_some(keep) };
    let list = ask.api.objects.cache().list_part(&selection.scope, &part, asked.fresh).await;
    let list = list.map_err(|error| match (&asked.place, error) {
        (Some(place), StoreError::Compacted { .. }) => place.expired(),
        (_, error) => ask.refused(error),
    })?;
    Ok(page(list, &selection.collection))
}

/// A list with the place where it goes on. How many follow is told without selectors only: with
/// them upstream cannot tell without reading on, and clients rely on that.
fn page(list: List, collection: &str) -> Page {
    let List { objects, revision, has_more, remaining } = list;
    let last = objects.last().filter(|_| has_more);
    let next = last.map(|last| Place::after(last.key(), collection, revision).encode());
    Page { objects, revision, next, remaining }
}

/// The parameters of a list.
struct Asked {
    fresh: Freshness,
    limit: Option<usize>,
    place: Option<Place>,
}

impl Asked {
    fn read(query: &Query) -> Result<Self, Status> {
        check(query)?;
        let limit = query.number("limit")?.and_then(|limit| usize::try_from(limit).ok()).filter(|limit| *limit > 0);
        let wanted = Wanted::parse(query.text("resourceVersion"))?;
        let token = query.text("continue");
        if token.is_empty() {
            let fresh = freshness(wanted, query.text("resourceVersionMatch"), limit.is_some());
            return Ok(Self { fresh, limit, place: None });
        }
        if matches!(wanted, Wanted::At(_)) {
            return Err(Status::bad_request("specifying resource version is not allowed when using continue"));
        }
        let place = Place::decode(token)?;
        let fresh = place.revision.map_or(Freshness::Newest, Freshness::Exact);
        Ok(Self { fresh, limit, place: Some(place) })
    }
}

/// How fresh a first page has to be. A revision without a match means that very revision when
/// there is a limit, and at least that one otherwise.
fn freshness(wanted: Wanted, matching: &str, has_limit: bool) -> Freshness {
    match wanted {
        Wanted::Newest => Freshness::Newest,
        Wanted::Any => Freshness::Any,
        Wanted::At(revision) if matching == "Exact" || (matching.is_empty() && has_limit) => Freshness::Exact(revision),
        Wanted::At(revision) => Freshness::AtLeast(revision),
    }
}

/// Combinations that mean nothing (apimachinery `ValidateListOptions`).
fn check(query: &Query) -> Result<(), Status> {
    let mut errors = FieldErrors::default();
    let (matching, revision) = (query.text("resourceVersionMatch"), query.text("resourceVersion"));
    if !matching.is_empty() {
        let field = "resourceVersionMatch";
        if revision.is_empty() {
            errors.forbidden(field, "resourceVersionMatch is forbidden unless resourceVersion is provided");
        }
        if !query.text("continue").is_empty() {
            errors.forbidden(field, "resourceVersionMatch is forbidden when continue is provided");
        }
        if !matches!(matching, "Exact" | "NotOlderThan") {
            errors.not_supported(field, matching, &["Exact", "NotOlderThan", ""]);
        }
        if matching == "Exact" && revision == "0" {
            errors.forbidden(field, "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"");
        }
    }
    if query.get("sendInitialEvents").is_some() {
        errors.forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list");
    }
    if errors.is_empty() { Ok(()) } else { Err(Status::invalid_as(META_GROUP, "ListOptions", "", &errors)) }
}
