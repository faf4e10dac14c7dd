//! How lists and maps of the served types merge: facts of the upstream struct tags
//! `patchStrategy`, `patchMergeKey`, `listType`, `listMapKey`, `mapType` and `structType`
//! (k8s.io/api and k8s.io/apimachinery 1.33).
//!
//! Type names are short: `core.v1.Pod` is `io.k8s.api.core.v1.Pod`, `meta.v1.ObjectMeta` is
//! `io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta`.

use Patch::{MergeBy, MergeByAndRetainKeys, MergeSet, Replace, RetainKeys};
use Topology::{Atomic, AtomicMap, Granular, Map, Set};

/// What a strategic merge patch does with a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patch {
    /// A list is replaced as a whole; a map is merged.
    Replace,
    /// A list of objects merges by this key.
    MergeBy(&'static str),
    /// As `MergeBy`, and a patched item keeps only the keys that `$retainKeys` lists.
    MergeByAndRetainKeys(&'static str),
    /// A list of scalars merges as a set.
    MergeSet,
    /// An object that keeps only the keys that `$retainKeys` lists.
    RetainKeys,
}

/// Who may own parts of a field in server-side apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Topology {
    /// Nothing said: maps and objects are granular, lists atomic.
    Granular,
    /// A list that is owned as a whole.
    Atomic,
    /// A list of unique scalars.
    Set,
    /// A list of objects that these keys tell apart.
    Map(&'static [&'static str]),
    /// A map that is owned as a whole.
    AtomicMap,
}

/// (type, field, strategic merge, ownership), sorted.
pub(crate) const FIELDS: &[(&str, &str, Patch, Topology)] = &[
    ("apps.v1.DeploymentSpec", "strategy", RetainKeys, Granular),
    ("apps.v1.DeploymentStatus", "conditions", MergeBy("type"), Map(&["type"])),
    ("apps.v1.ReplicaSetStatus", "conditions", MergeBy("type"), Map(&["type"])),
    ("core.v1.Capabilities", "add", Replace, Atomic),
    ("core.v1.Capabilities", "drop", Replace, Atomic),
    ("core.v1.CephFSVolumeSource", "monitors", Replace, Atomic),
    ("core.v1.ConfigMapProjection", "items", Replace, Atomic),
    ("core.v1.ConfigMapVolumeSource", "items", Replace, Atomic),
    ("core.v1.Container", "args", Replace, Atomic),
    ("core.v1.Container", "command", Replace, Atomic),
    ("core.v1.Container", "env", MergeBy("name"), Map(&["name"])),
    ("core.v1.Container", "envFrom", Replace, Atomic),
    ("core.v1.Container", "ports", MergeBy("containerPort"), Map(&["containerPort", "protocol"])),
    ("core.v1.Container", "resizePolicy", Replace, Atomic),
    ("core.v1.Container", "volumeDevices", MergeBy("devicePath"), Map(&["devicePath"])),
    ("core.v1.Container", "volumeMounts", MergeBy("mountPath"), Map(&["mountPath"])),
    ("core.v1.ContainerImage", "names", Replace, Atomic),
    ("core.v1.ContainerStatus", "allocatedResourcesStatus", MergeBy("name"), Map(&["name"])),
    ("core.v1.ContainerStatus", "volumeMounts", MergeBy("mountPath"), Map(&["mountPath"])),
    ("core.v1.DownwardAPIProjection", "items", Replace, Atomic),
    ("core.v1.DownwardAPIVolumeSource", "items", Replace, Atomic),
    ("core.v1.EndpointSubset", "addresses", Replace, Atomic),
    ("core.v1.EndpointSubset", "notReadyAddresses", Replace, Atomic),
    ("core.v1.EndpointSubset", "ports", Replace, Atomic),
    ("core.v1.Endpoints", "subsets", Replace, Atomic),
    ("core.v1.EphemeralContainer", "args", Replace, Atomic),
    ("core.v1.EphemeralContainer", "command", Replace, Atomic),
    ("core.v1.EphemeralContainer", "env", MergeBy("name"), Map(&["name"])),
    ("core.v1.EphemeralContainer", "envFrom", Replace, Atomic),
    ("core.v1.EphemeralContainer", "ports", MergeBy("containerPort"), Map(&["containerPort", "protocol"])),
    ("core.v1.EphemeralContainer", "resizePolicy", Replace, Atomic),
    ("core.v1.EphemeralContainer", "volumeDevices", MergeBy("devicePath"), Map(&["devicePath"])),
    ("core.v1.EphemeralContainer", "volumeMounts", MergeBy("mountPath"), Map(&["mountPath"])),
    ("core.v1.ExecAction", "command", Replace, Atomic),
    ("core.v1.FCVolumeSource", "targetWWNs", Replace, Atomic),
    ("core.v1.FCVolumeSource", "wwids", Replace, Atomic),
    ("core.v1.HTTPGetAction", "httpHeaders", Replace, Atomic),
    ("core.v1.HostAlias", "hostnames", Replace, Atomic),
    ("core.v1.ISCSIVolumeSource", "portals", Replace, Atomic),
    ("core.v1.LinuxContainerUser", "supplementalGroups", Replace, Atomic),
    ("core.v1.LoadBalancerIngress", "ports", Replace, Atomic),
    ("core.v1.LoadBalancerStatus", "ingress", Replace, Atomic),
    ("core.v1.NamespaceSpec", "finalizers", Replace, Atomic),
    ("core.v1.NamespaceStatus", "conditions", MergeBy("type"), Map(&["type"])),
    ("core.v1.NodeAffinity", "preferredDuringSchedulingIgnoredDuringExecution", Replace, Atomic),
    ("core.v1.NodeSelector", "nodeSelectorTerms", Replace, Atomic),
    ("core.v1.NodeSelectorRequirement", "values", Replace, Atomic),
    ("core.v1.NodeSelectorTerm", "matchExpressions", Replace, Atomic),
    ("core.v1.NodeSelectorTerm", "matchFields", Replace, Atomic),
    ("core.v1.NodeSpec", "podCIDRs", MergeSet, Set),
    ("core.v1.NodeSpec", "taints", Replace, Atomic),
    ("core.v1.NodeStatus", "addresses", MergeBy("type"), Map(&["type"])),
    ("core.v1.NodeStatus", "conditions", MergeBy("type"), Map(&["type"])),
    ("core.v1.NodeStatus", "images", Replace, Atomic),
    ("core.v1.NodeStatus", "runtimeHandlers", Replace, Atomic),
    ("core.v1.NodeStatus", "volumesAttached", Replace, Atomic),
    ("core.v1.NodeStatus", "volumesInUse", Replace, Atomic),
    ("core.v1.PersistentVolumeClaimSpec", "accessModes", Replace, Atomic),
    ("core.v1.PodAffinity", "preferredDuringSchedulingIgnoredDuringExecution", Replace, Atomic),
    ("core.v1.PodAffinity", "requiredDuringSchedulingIgnoredDuringExecution", Replace, Atomic),
    ("core.v1.PodAffinityTerm", "matchLabelKeys", Replace, Atomic),
    ("core.v1.PodAffinityTerm", "mismatchLabelKeys", Replace, Atomic),
    ("core.v1.PodAffinityTerm", "namespaces", Replace, Atomic),
    ("core.v1.PodAntiAffinity", "preferredDuringSchedulingIgnoredDuringExecution", Replace, Atomic),
    ("core.v1.PodAntiAffinity", "requiredDuringSchedulingIgnoredDuringExecution", Replace, Atomic),
    ("core.v1.PodDNSConfig", "nameservers", Replace, Atomic),
    ("core.v1.PodDNSConfig", "options", Replace, Atomic),
    ("core.v1.PodDNSConfig", "searches", Replace, Atomic),
    ("core.v1.PodSecurityContext", "supplementalGroups", Replace, Atomic),
    ("core.v1.PodSecurityContext", "sysctls", Replace, Atomic),
    ("core.v1.PodSpec", "containers", MergeBy("name"), Map(&["name"])),
    ("core.v1.PodSpec", "ephemeralContainers", MergeBy("name"), Map(&["name"])),
    ("core.v1.PodSpec", "hostAliases", MergeBy("ip"), Map(&["ip"])),
    ("core.v1.PodSpec", "imagePullSecrets", MergeBy("name"), Map(&["name"])),
    ("core.v1.PodSpec", "initContainers", MergeBy("name"), Map(&["name"])),
    ("core.v1.PodSpec", "nodeSelector", Replace, AtomicMap),
    ("core.v1.PodSpec", "readinessGates", Replace, Atomic),
    ("core.v1.PodSpec", "resourceClaims", MergeByAndRetainKeys("name"), Map(&["name"])),
    ("core.v1.PodSpec", "schedulingGates", MergeBy("name"), Map(&["name"])),
    ("core.v1.PodSpec", "tolerations", Replace, Atomic),
    (
        "core.v1.PodSpec",
        "topologySpreadConstraints",
        MergeBy("topologyKey"),
        Map(&["topologyKey", "whenUnsatisfiable"]),
    ),
    ("core.v1.PodSpec", "volumes", MergeByAndRetainKeys("name"), Map(&["name"])),
    ("core.v1.PodStatus", "conditions", MergeBy("type"), Map(&["type"])),
    ("core.v1.PodStatus", "containerStatuses", Replace, Atomic),
    ("core.v1.PodStatus", "ephemeralContainerStatuses", Replace, Atomic),
    ("core.v1.PodStatus", "hostIPs", MergeBy("ip"), Atomic),
    ("core.v1.PodStatus", "initContainerStatuses", Replace, Atomic),
    ("core.v1.PodStatus", "podIPs", MergeBy("ip"), Map(&["ip"])),
    ("core.v1.PodStatus", "resourceClaimStatuses", MergeByAndRetainKeys("name"), Map(&["name"])),
    ("core.v1.ProjectedVolumeSource", "sources", Replace, Atomic),
    ("core.v1.RBDVolumeSource", "monitors", Replace, Atomic),
    ("core.v1.ResourceRequirements", "claims", Replace, Map(&["name"])),
    ("core.v1.ResourceStatus", "resources", Replace, Map(&["resourceID"])),
    ("core.v1.SecretProjection", "items", Replace, Atomic),
    ("core.v1.SecretVolumeSource", "items", Replace, Atomic),
    ("core.v1.ServiceAccount", "imagePullSecrets", Replace, Atomic),
    ("core.v1.ServiceAccount", "secrets", MergeBy("name"), Map(&["name"])),
    ("core.v1.ServiceSpec", "clusterIPs", Replace, Atomic),
    ("core.v1.ServiceSpec", "externalIPs", Replace, Atomic),
    ("core.v1.ServiceSpec", "ipFamilies", Replace, Atomic),
    ("core.v1.ServiceSpec", "loadBalancerSourceRanges", Replace, Atomic),
    ("core.v1.ServiceSpec", "ports", MergeBy("port"), Map(&["port", "protocol"])),
    ("core.v1.ServiceSpec", "selector", Replace, AtomicMap),
    ("core.v1.ServiceStatus", "conditions", MergeBy("type"), Map(&["type"])),
    ("core.v1.TopologySpreadConstraint", "matchLabelKeys", Replace, Atomic),
    ("discovery.v1.Endpoint", "addresses", Replace, Set),
    ("discovery.v1.EndpointHints", "forNodes", Replace, Atomic),
    ("discovery.v1.EndpointHints", "forZones", Replace, Atomic),
    ("discovery.v1.EndpointSlice", "endpoints", Replace, Atomic),
    ("discovery.v1.EndpointSlice", "ports", Replace, Atomic),
    ("meta.v1.LabelSelector", "matchExpressions", Replace, Atomic),
    ("meta.v1.LabelSelectorRequirement", "values", Replace, Atomic),
    ("meta.v1.ObjectMeta", "finalizers", MergeSet, Set),
    ("meta.v1.ObjectMeta", "managedFields", Replace, Atomic),
    ("meta.v1.ObjectMeta", "ownerReferences", MergeBy("uid"), Map(&["uid"])),
];

/// Types whose objects are owned as a whole, sorted.
pub(crate) const ATOMIC_TYPES: &[&str] = &[
    "core.v1.ConfigMapKeySelector",
    "core.v1.EndpointAddress",
    "core.v1.EndpointPort",
    "core.v1.LocalObjectReference",
    "core.v1.NodeSelector",
    "core.v1.NodeSelectorTerm",
    "core.v1.ObjectFieldSelector",
    "core.v1.ObjectReference",
    "core.v1.ResourceFieldSelector",
    "core.v1.SecretKeySelector",
    "core.v1.TypedLocalObjectReference",
    "discovery.v1.EndpointPort",
    "meta.v1.LabelSelector",
    "meta.v1.OwnerReference",
];
