//! The golden cases: Kubernetes objects in, questions and their answers out.
//!
//! The same files are put to [`crate::answer`] and to the server over its sockets.

use std::{fs, path::Path, sync::Arc};

use hickory_proto::{
    op::{Query, ResponseCode},
    rr::{DNSClass, Name, Record},
};
use k8s_openapi::api::{core::v1::Service, discovery::v1::EndpointSlice};
use nodeplane_api::meta::Key;
use nodeplane_client::services::service_of;
use serde::Deserialize;
use serde_yaml::Value;

use crate::{
    config::{Config, PodNames},
    observe::{service_facts, slice_facts},
    zone::{
        Settings, Zone,
        facts::{ServiceFacts, SliceFacts},
        snapshot::Snapshot,
    },
};

/// The SOA serial of golden zones.
const SERIAL: u32 = 7;

/// One file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Golden {
    #[serde(skip)]
    pub(crate) file: String,
    #[serde(default = "yes")]
    synced: bool,
    ttl: Option<u32>,
    pods: Option<String>,
    #[serde(default)]
    own: Vec<String>,
    #[serde(default)]
    reverse: Vec<String>,
    objects: Vec<Value>,
    pub(crate) questions: Vec<Question>,
}

/// A question and its answer.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Question {
    /// Name and type.
    pub(crate) ask: String,
    /// NOERROR when absent.
    code: Option<String>,
    #[serde(default)]
    pub(crate) answer: Vec<String>,
    #[serde(default)]
    pub(crate) additional: Vec<String>,
    /// The owner of the SOA record. An empty answer has that of the cluster domain.
    authority: Option<String>,
    /// The name that is to be asked of others, for what the answer leads to.
    pub(crate) chase: Option<String>,
    #[serde(default)]
    pub(crate) forward: bool,
}

fn yes() -> bool {
    true
}

impl Golden {
    /// All files.
    pub(crate) fn all() -> Vec<Self> {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
        let mut paths: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        assert!(!paths.is_empty());
        paths.iter().map(|path| Self::read(path)).collect()
    }

    /// The file `name.yaml`.
    pub(crate) fn of(name: &str) -> Self {
        Self::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(format!("{name}.yaml")))
    }

    fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap();
        let golden = serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { file: path.file_name().unwrap().to_string_lossy().into_owned(), ..golden }
    }

    pub(crate) fn settings(&self) -> Arc<Settings> {
        let own = if self.own.is_empty() { vec!["127.0.0.1".to_owned()] } else { self.own.clone() };
        let config = Config {
            listen: own.iter().map(|address| (address.parse::<std::net::IpAddr>().unwrap(), 53).into()).collect(),
            ttl: self.ttl.unwrap_or(5),
            pods: if self.pods.as_deref() == Some("disabled") { PodNames::Disabled } else { PodNames::Insecure },
            reverse_zones: self.reverse.iter().map(|range| range.parse().unwrap()).collect(),
            ..Config::default()
        };
        config.settings().unwrap()
    }

    pub(crate) fn zone(&self) -> Zone {
        Zone::build(self.settings(), &self.snapshot(), SERIAL, self.synced)
    }

    fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot::default();
        for object in &self.objects {
            match object["kind"].as_str().unwrap() {
                "Namespace" => snapshot.namespaces.push(object["metadata"]["name"].as_str().unwrap().to_owned()),
                "Service" => snapshot.services.extend(service_in(&typed(object))),
                "EndpointSlice" => snapshot.slices.extend(slice_in(&typed(object))),
                kind => panic!("{}: what is a {kind}?", self.file),
            }
        }
        snapshot
    }
}

impl Question {
    pub(crate) fn query(&self) -> Query {
        query(&self.ask)
    }

    pub(crate) fn code(&self) -> ResponseCode {
        match self.code.as_deref() {
            None => ResponseCode::NoError,
            Some("NXDOMAIN") => ResponseCode::NXDomain,
            Some("SERVFAIL") => ResponseCode::ServFail,
            Some(code) => panic!("what is {code}?"),
        }
    }

    /// The owner and type of every record of the authority section.
    pub(crate) fn authority(&self) -> Vec<String> {
        let owner = match &self.authority {
            Some(owner) => owner,
            None if self.answer.is_empty() => "cluster.local.",
            None => return Vec::new(),
        };
        vec![format!("{owner} SOA")]
    }
}

/// A Service as a snapshot has it.
pub(crate) fn service_in(service: &Service) -> Option<(Key, ServiceFacts)> {
    Some((Key::of(service), service_facts(service)?))
}

/// An EndpointSlice as a snapshot has it.
pub(crate) fn slice_in(slice: &EndpointSlice) -> Option<(Key, SliceFacts)> {
    Some((service_of(slice)?, slice_facts(slice)?))
}

/// A question in the form `name type`.
pub(crate) fn query(text: &str) -> Query {
    let (name, wanted) = text.split_once(' ').unwrap();
    let mut name = Name::from_ascii(name).unwrap();
    name.set_fqdn(true);
    Query::query(name, wanted.parse().unwrap())
}

/// Records in the form `name ttl type data`.
pub(crate) fn lines(records: &[Record]) -> Vec<String> {
    let line = |record: &Record| {
        assert_eq!(record.dns_class, DNSClass::IN);
        let Record { name, ttl, data, .. } = record;
        format!("{name} {ttl} {} {data}", record.record_type()).trim_end().to_owned()
    };
    records.iter().map(line).collect()
}

/// Records in the form `name type`.
pub(crate) fn owners(records: &[Record]) -> Vec<String> {
    records.iter().map(|record| format!("{} {}", record.name, record.record_type())).collect()
}

fn typed<T: for<'de> Deserialize<'de>>(object: &Value) -> T {
    serde_yaml::from_value(object.clone()).unwrap()
}
