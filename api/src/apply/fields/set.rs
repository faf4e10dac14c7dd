//! A set of fields as a tree.

use std::collections::{BTreeMap, btree_map::Entry};

use super::Element;

/// Fields of an object. A field may be in it without the fields below, and the other way round.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::apply) struct FieldSet {
    nodes: BTreeMap<Element, Node>,
}

/// What a set says of one field. None of a set is vacant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::apply) struct Node {
    /// Whether the field itself is in the set.
    pub(in crate::apply) is_member: bool,
    /// The fields below it.
    pub(in crate::apply) below: FieldSet,
}

impl Node {
    /// A field of which nothing is known to be below.
    pub(in crate::apply) fn member() -> Self {
        Self { is_member: true, below: FieldSet::default() }
    }

    /// Whether neither the field nor anything below it is in the set.
    pub(in crate::apply) fn is_vacant(&self) -> bool {
        !self.is_member && self.below.is_empty()
    }

    fn join(&mut self, other: Self) {
        self.is_member |= other.is_member;
        self.below.join(other.below);
    }
}

impl FieldSet {
    /// Whether nothing is in it.
    pub(in crate::apply) fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// What it says of the fields right below, in order.
    pub(in crate::apply) fn nodes(&self) -> impl Iterator<Item = (&Element, &Node)> {
        self.nodes.iter()
    }

    /// What it says of a field right below.
    pub(in crate::apply) fn get(&self, element: &Element) -> Option<&Node> {
        self.nodes.get(element)
    }

    /// Whether a field is in it.
    pub(in crate::apply) fn has(&self, path: &[Element]) -> bool {
        self.find(path).is_some_and(|node| node.is_member)
    }

    fn find(&self, path: &[Element]) -> Option<&Node> {
        let (first, rest) = path.split_first()?;
        let node = self.nodes.get(first)?;
        if rest.is_empty() { Some(node) } else { node.below.find(rest) }
    }

    /// Adds what is known of a field right below.
    pub(in crate::apply) fn attach(&mut self, element: Element, node: Node) {
        if node.is_vacant() {
            return;
        }
        match self.nodes.entry(element) {
            Entry::Vacant(place) => drop(place.insert(node)),
            Entry::Occupied(mut place) => place.get_mut().join(node),
        }
    }

    /// Adds a field.
    pub(in crate::apply) fn insert(&mut self, path: &[Element]) {
        let Some((first, rest)) = path.split_first() else { return };
        let node = self.nodes.entry(first.clone()).or_default();
        if rest.is_empty() { node.is_member = true } else { node.below.insert(rest) }
    }

    /// Adds all of another.
    pub(in crate::apply) fn join(&mut self, other: Self) {
        for (element, node) in other.nodes {
            self.attach(element, node);
        }
    }

    /// What is in both.
    pub(in crate::apply) fn intersection(&self, other: &Self) -> Self {
        let mut out = Self::default();
        for (element, node) in &self.nodes {
            if let Some(theirs) = other.nodes.get(element) {
                let below = node.below.intersection(&theirs.below);
                out.attach(element.clone(), Node { is_member: node.is_member && theirs.is_member, below });
            }
        }
        out
    }

    /// What is in this one only. Fields below a field of the other stay.
    pub(in crate::apply) fn difference(&self, other: &Self) -> Self {
        let mut out = self.clone();
        out.subtract(other);
        out
    }

    /// Takes out what is in another. Fields below a field of the other stay.
    pub(in crate::apply) fn subtract(&mut self, other: &Self) {
        if other.is_empty() {
            return;
        }
        self.nodes.retain(|element, node| {
            if let Some(theirs) = other.nodes.get(element) {
                node.is_member &= !theirs.is_member;
                node.below.subtract(&theirs.below);
            }
            !node.is_vacant()
        });
    }

    /// What is in it besides a field and all below that.
    pub(in crate::apply) fn outside(mut self, path: &[Element]) -> Self {
        self.cut(path);
        self
    }

    fn cut(&mut self, path: &[Element]) -> Option<Node> {
        let (first, rest) = path.split_first()?;
        if rest.is_empty() {
            return self.nodes.remove(first);
        }
        let node = self.nodes.get_mut(first)?;
        let cut = node.below.cut(rest);
        if node.is_vacant() {
            self.nodes.remove(first);
        }
        cut
    }

    /// What is in it of some fields and all below these.
    pub(in crate::apply) fn below_any(mut self, paths: impl Iterator<Item = Vec<Element>>) -> Self {
        let mut out = Self::default();
        for path in paths {
            if let Some(node) = self.cut(&path) {
                out.hang(&path, node);
            }
        }
        out
    }

    fn hang(&mut self, path: &[Element], node: Node) {
        match path {
            [] => {}
            [last] => self.attach(last.clone(), node),
            [first, rest @ ..] => self.nodes.entry(first.clone()).or_default().below.hang(rest, node),
        }
    }

    /// The paths of all fields in it: those of one level first, then those below each.
    pub(in crate::apply) fn paths(&self) -> Vec<Vec<&Element>> {
        let mut paths = Vec::new();
        self.collect(&mut Vec::new(), &mut paths);
        paths
    }

    fn collect<'a>(&'a self, place: &mut Vec<&'a Element>, paths: &mut Vec<Vec<&'a Element>>) {
        for (element, _) in self.nodes.iter().filter(|(_, node)| node.is_member) {
            paths.push(place.iter().copied().chain([element]).collect());
        }
        for (element, node) in &self.nodes {
            place.push(element);
            node.below.collect(place, paths);
            place.pop();
        }
    }
}
