use std::collections::BTreeSet;

use super::*;
use crate::documents;

#[test]
fn every_row_has_a_path_and_a_name_of_its_own() {
    let paths: BTreeSet<_> = KINDS.iter().map(|kind| (kind.group, kind.version, kind.plural)).collect();
    let names: BTreeSet<_> = KINDS.iter().map(|kind| (kind.api_version(), kind.kind)).collect();
    assert_eq!((paths.len(), names.len()), (KINDS.len(), KINDS.len()));
    for kind in KINDS {
        assert_eq!(by_plural(kind.group, kind.version, kind.plural), Some(kind));
        assert_eq!(by_api_version(&kind.api_version(), kind.kind), Some(kind));
        let is_read = kind.verbs.contains(&Verb::Get);
        assert_eq!(!kind.columns.is_empty(), is_read, "{kind:?} prints nothing, or is never printed");
        assert!(!kind.verbs.is_empty(), "{kind:?} takes no verb");
    }
}

#[test]
fn a_view_shows_what_another_row_stores() {
    for kind in KINDS {
        let stored = kind.stored();
        assert!(!stored.is_view(), "{kind:?} is a view of a view");
        assert_eq!(kind.is_view(), stored != kind, "{kind:?}");
        assert_eq!((kind.scope, kind.backing), (stored.scope, stored.backing), "{kind:?}");
        let same = KINDS.iter().filter(|row| row.stored() == stored);
        let numbers: BTreeSet<_> = same.clone().map(Kind::view_number).collect();
        assert_eq!(numbers.len(), same.count(), "{kind:?}");
        assert_eq!(numbers.first(), Some(&0), "{kind:?}");
    }
}

#[test]
fn a_part_takes_a_document_that_travels() {
    for (kind, part) in KINDS.iter().flat_map(|kind| kind.parts.iter().map(move |part| (kind, part))) {
        let (group, version, name) = part.document_of(kind);
        let api_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
        assert!(documents::shape_of(&api_version, name).is_some(), "{kind:?}/{}", part.name());
        assert!(!part.verbs.is_empty(), "{kind:?}/{}", part.name());
        assert_eq!(kind.part(part.subresource), Some(part));
    }
}

#[test]
fn a_part_that_is_written_through_says_what_it_writes() {
    let writes = |plural: &str, subresource| {
        let kind = by_plural("", "v1", plural).unwrap();
        kind.part(subresource).unwrap().writes
    };
    assert_eq!(writes("pods", Subresource::Status), ["/status"]);
    assert_eq!(writes("namespaces", Subresource::Finalize), ["/spec/finalizers"]);
    assert!(writes("pods", Subresource::Binding).is_empty());
    assert!(!by_plural("", "v1", "configmaps").unwrap().has(Subresource::Status));
}

#[test]
fn a_kind_that_is_not_stored_takes_no_verb_of_the_store() {
    let made: Vec<_> = KINDS.iter().filter(|kind| !kind.is_stored()).collect();
    assert!(made.len() >= 8, "{made:?}");
    for kind in made {
        assert!(kind.verbs.iter().all(|verb| matches!(verb, Verb::Create | Verb::Get | Verb::List)), "{kind:?}");
        assert!(kind.parts.is_empty(), "{kind:?}");
    }
}
