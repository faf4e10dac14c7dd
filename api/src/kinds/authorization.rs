//! The group `authorization.k8s.io`.

use k8s_openapi::api::authorization::v1 as typed;

use super::{Kind, Verb, rows::Api};

const V1: Api = Api("authorization.k8s.io", "v1");

pub(super) const ROWS: &[Kind] = &[
    V1.namespaced::<typed::LocalSubjectAccessReview>(
        "LocalSubjectAccessReview",
        "localsubjectaccessreviews",
        "localsubjectaccessreview",
    )
    .made_for(&[Verb::Create]),
    V1.cluster::<typed::SelfSubjectAccessReview>(
        "SelfSubjectAccessReview",
        "selfsubjectaccessreviews",
        "selfsubjectaccessreview",
    )
    .made_for(&[Verb::Create]),
    V1.cluster::<typed::SelfSubjectRulesReview>(
        "SelfSubjectRulesReview",
        "selfsubjectrulesreviews",
        "selfsubjectrulesreview",
    )
    .made_for(&[Verb::Create]),
    V1.cluster::<typed::SubjectAccessReview>("SubjectAccessReview", "subjectaccessreviews", "subjectaccessreview")
        .made_for(&[Verb::Create]),
];
