//! A cluster in memory for tests of plans: applies writes as the API server would, one by one, so
//! that a test can stop between any two, look at an older state, and go on.

use std::{collections::BTreeMap, sync::Arc};

use jiff::{Timestamp, ToSpan};
use kube::Resource;
use nodeplane_api::{
    kinds::{Kind, Subresource},
    meta::{self, Key},
};
use nodeplane_client::write::Write;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::caches::row;

/// All objects, and the clock.
#[derive(Clone, Default)]
pub(crate) struct World {
    objects: BTreeMap<(&'static str, Key), Value>,
    revision: u64,
    seconds: i64,
}

/// Why a write was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    Conflict,
    NotFound,
    AlreadyExists,
}

impl World {
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH + self.seconds.seconds()
    }

    pub(crate) fn wait(&mut self, seconds: i64) {
        self.seconds += seconds;
    }

    /// All objects of a kind, by key.
    pub(crate) fn list<K: Resource<DynamicType = ()> + DeserializeOwned>(&self) -> Vec<Arc<K>> {
        let plural = row::<K>().plural;
        let mine = self.objects.iter().filter(|((kind, _), _)| *kind == plural);
        mine.map(|(_, object)| Arc::new(serde_json::from_value(object.clone()).unwrap())).collect()
    }

    pub(crate) fn get<K: Resource<DynamicType = ()> + DeserializeOwned>(&self, name: &str) -> Option<K> {
        let found = self.objects.iter().find(|((kind, key), _)| *kind == row::<K>().plural && key.name == name);
        found.map(|(_, object)| serde_json::from_value(object.clone()).unwrap())
    }

    /// Puts an object as a user would.
    pub(crate) fn put<K: Resource<DynamicType = ()> + Serialize>(&mut self, object: &K) {
        let mut write = Write::create(row::<K>(), object);
        let Write::Create { kind, object, .. } = &mut write else { unreachable!() };
        let key = Key::of_value(object);
        if let Some(old) = self.objects.get(&(kind.plural, key.clone())) {
            meta::set(object, "resourceVersion", old["metadata"]["resourceVersion"].clone());
            write = Write::Replace { kind, key, part: None, object: object.clone() };
        }
        self.apply(&write).unwrap();
    }

    /// Changes an object behind the back of everybody.
    pub(crate) fn edit<K: Resource<DynamicType = ()>>(&mut self, name: &str, edit: impl FnOnce(&mut Value)) {
        let plural = row::<K>().plural;
        let (key, mut object) = self
            .objects
            .iter()
            .find(|((kind, key), _)| *kind == plural && key.name == name)
            .map(|((_, key), object)| (key.clone(), object.clone()))
            .unwrap();
        edit(&mut object);
        self.store(row::<K>(), key, object);
    }

    pub(crate) fn apply_all(&mut self, writes: &[Write]) {
        for write in writes {
            self.apply(write).unwrap_or_else(|refused| panic!("{write}: {refused:?}"));
        }
    }

    pub(crate) fn apply(&mut self, write: &Write) -> Result<(), Refused> {
        match write {
            Write::Create { kind, namespace, object } => self.create(kind, namespace, object.clone()),
            Write::Replace { kind, key, part, object } => self.replace(kind, key, *part, object),
            Write::Merge { kind, key, patch, .. } => {
                let old = self.objects.get(&(kind.plural, key.clone())).ok_or(Refused::NotFound)?;
                for precondition in ["uid", "resourceVersion"] {
                    let expected = &patch["metadata"][precondition];
                    if !expected.is_null() && *expected != old["metadata"][precondition] {
                        return Err(Refused::Conflict);
                    }
                }
                let mut object = old.clone();
                json_patch::merge(&mut object, patch);
                self.store(kind, key.clone(), object);
                Ok(())
            }
            Write::Delete { kind, key, uid, .. } => {
                let Some(old) = self.objects.get(&(kind.plural, key.clone())) else { return Ok(()) };
                if !uid.is_empty() && meta::uid(old) != uid {
                    return Err(Refused::Conflict);
                }
                self.objects.remove(&(kind.plural, key.clone()));
                self.revision += 1;
                Ok(())
            }
            Write::DeleteAll { kind, namespace } => {
                self.objects.retain(|(plural, key), _| *plural != kind.plural || key.namespace != *namespace);
                Ok(())
            }
            Write::Post { .. } => Ok(()),
        }
    }

    fn create(&mut self, kind: &'static Kind, namespace: &str, mut object: Value) -> Result<(), Refused> {
        if meta::name(&object).is_empty() {
            let name = format!("{}{:05}", meta::text(&object, "generateName"), self.revision);
            meta::set(&mut object, "name", name);
        }
        let key = Key::new(namespace, meta::name(&object));
        if self.objects.contains_key(&(kind.plural, key.clone())) {
            return Err(Refused::AlreadyExists);
        }
        meta::set(&mut object, "uid", format!("uid-{}", self.revision));
        meta::set(&mut object, "generation", 1);
        meta::set(&mut object, "creationTimestamp", self.now().to_string());
        self.store(kind, key, object);
        Ok(())
    }

    fn replace(
        &mut self,
        kind: &'static Kind,
        key: &Key,
        part: Option<Subresource>,
        object: &Value,
    ) -> Result<(), Refused> {
        let old = self.objects.get(&(kind.plural, key.clone())).ok_or(Refused::NotFound)?;
        if object["metadata"]["resourceVersion"] != old["metadata"]["resourceVersion"] {
            return Err(Refused::Conflict);
        }
        let new = match part {
            Some(_) => {
                let mut new = old.clone();
                new["status"] = object["status"].clone();
                new
            }
            None => {
                let mut new = object.clone();
                new["metadata"]["uid"] = old["metadata"]["uid"].clone();
                new["metadata"]["creationTimestamp"] = old["metadata"]["creationTimestamp"].clone();
                let generation = old["metadata"]["generation"].as_i64().unwrap_or(1);
                let bump = i64::from(new["spec"] != old["spec"]);
                new["metadata"]["generation"] = json!(generation + bump);
                match old.get("status") {
                    Some(status) => new["status"] = status.clone(),
                    None => drop(new.as_object_mut().unwrap().remove("status")),
                }
                new
            }
        };
        self.store(kind, key.clone(), new);
        Ok(())
    }

    fn store(&mut self, kind: &'static Kind, key: Key, mut object: Value) {
        self.revision += 1;
        meta::set(&mut object, "resourceVersion", self.revision.to_string());
        self.objects.insert((kind.plural, key), object);
    }
}

/// A typed object from JSON.
pub(crate) fn object<K: DeserializeOwned>(json: Value) -> K {
    serde_json::from_value(json).unwrap()
}
