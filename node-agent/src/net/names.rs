//! What a pod's link is called. Pure.
//!
//! Everything follows from the pod's uid, so that a restarted agent finds what an earlier one made.

/// Links that begin so are the agent's.
pub const PREFIX: &str = "np-";

/// The name of a pod's link on the node: at most 15 bytes, which is all that the kernel takes.
pub fn link(uid: &str) -> String {
    format!("{PREFIX}{:012x}", hash(uid) & 0xffff_ffff_ffff)
}

/// Whether a link is the agent's.
pub fn is_ours(link: &str) -> bool {
    link.strip_prefix(PREFIX).is_some_and(|rest| rest.len() == 12 && rest.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// The Ethernet address of the pod's end. Said and not left to the kernel, since udev replaces the addresses that the
/// kernel chose.
pub fn pod_mac(link: &str) -> [u8; 6] {
    mac(0x0a, link)
}

/// The Ethernet address of the node's end.
pub fn host_mac(link: &str) -> [u8; 6] {
    mac(0x0e, link)
}

/// The first byte says: of one station, and locally administered.
fn mac(first: u8, link: &str) -> [u8; 6] {
    let [.., a, b, c, d, e] = hash(link).to_be_bytes();
    [first, a, b, c, d, e]
}

/// FNV-1a, whose results never change; that of the standard library may.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    const UID: &str = "0f8fad5b-d9cb-469f-a165-70867728950e";

    #[test]
    fn names_stay_what_they_are() {
        // A change here would let a new agent lose the pods of an older one.
        assert_eq!(link(UID), "np-2038cdc744c1");
        assert_eq!(pod_mac(&link(UID))[0], 0x0a);
    }

    #[test]
    fn names_fit_and_are_known_again() {
        for uid in ["", "a", UID, &UID.repeat(10)] {
            let name = link(uid);
            assert!(name.len() <= 15 && is_ours(&name), "{name}");
        }
        for other in ["np-", "np-0123", "np-0123456789zz", "eth0", "npx0123456789ab"] {
            assert!(!is_ours(other), "{other}");
        }
    }

    #[test]
    fn both_ends_differ_and_are_of_one_station() {
        let (pod, host) = (pod_mac("np-1"), host_mac("np-1"));
        assert_ne!(pod, host);
        assert_ne!(pod, pod_mac("np-2"));
        for mac in [pod, host] {
            assert_eq!(mac[0] & 0b11, 0b10);
        }
    }
}
