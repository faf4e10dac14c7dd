//! Columns of Ingresses and NetworkPolicies.

use super::{AGE, Column, NAME};

pub(crate) const INGRESS_CLASS: &[Column] = &[NAME, AGE];

pub(crate) const INGRESS: &[Column] = &[NAME, AGE];

pub(crate) const NETWORK_POLICY: &[Column] = &[NAME, AGE];
