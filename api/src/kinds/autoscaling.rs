//! The group `autoscaling`.

use k8s_openapi::api::autoscaling::{v1, v2};

use super::{Kind, parts::STATUS, rows::Api};
use crate::{columns, conversions};

const NAMES: (&str, &str, &str) = ("HorizontalPodAutoscaler", "horizontalpodautoscalers", "horizontalpodautoscaler");

const fn alike(row: Kind) -> Kind {
    row.short(&["hpa"]).in_all().parts(&[STATUS]).columns(columns::AUTOSCALER)
}

pub(super) const ROWS: &[Kind] = &[
    alike(Api("autoscaling", "v2").namespaced::<v2::HorizontalPodAutoscaler>(NAMES.0, NAMES.1, NAMES.2)),
    alike(Api("autoscaling", "v1").namespaced::<v1::HorizontalPodAutoscaler>(NAMES.0, NAMES.1, NAMES.2))
        .view_of(&conversions::AUTOSCALER_V1),
];
