//! Columns of volumes and what provides them.

use super::{AGE, Column, NAME};

pub(crate) const CSI_DRIVER: &[Column] = &[NAME, AGE];

pub(crate) const CSI_NODE: &[Column] = &[NAME, AGE];

pub(crate) const CSI_STORAGE_CAPACITY: &[Column] = &[NAME, AGE];

pub(crate) const PERSISTENT_VOLUME: &[Column] = &[NAME, AGE];

pub(crate) const PERSISTENT_VOLUME_CLAIM: &[Column] = &[NAME, AGE];

pub(crate) const STORAGE_CLASS: &[Column] = &[NAME, AGE];

pub(crate) const VOLUME_ATTACHMENT: &[Column] = &[NAME, AGE];
