//! The one controller runtime: keys in, reconciled objects out.
