//! The group `authentication.k8s.io`.

use k8s_openapi::api::authentication::v1 as typed;

use super::{Kind, Verb, rows::Api};

const V1: Api = Api("authentication.k8s.io", "v1");

pub(super) const ROWS: &[Kind] = &[
    V1.cluster::<typed::SelfSubjectReview>("SelfSubjectReview", "selfsubjectreviews", "selfsubjectreview")
        .made_for(&[Verb::Create]),
    V1.cluster::<typed::TokenReview>("TokenReview", "tokenreviews", "tokenreview").made_for(&[Verb::Create]),
];
