pub(crate) mod os;
pub(crate) mod rustc;
