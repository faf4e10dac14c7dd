//! A short name for a document, the same on every start of the same binary.

use std::hash::{DefaultHasher, Hasher};

/// 128 bits in hexadecimal. Tells versions of our own documents apart; it is no protection
/// against somebody who makes two documents alike.
pub fn fingerprint(bytes: &[u8]) -> String {
    let half = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        hasher.write_u8(salt);
        hasher.write(bytes);
        hasher.finish()
    };
    format!("{:016X}{:016X}", half(0), half(1))
}
