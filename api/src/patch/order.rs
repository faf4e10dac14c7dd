//! The order of a merged list: what the patch names comes in the patch's order, what only the
//! server has in the server's, and the two are interleaved where the server knows how.

use serde_json::Value;

/// Orders the items of a merged list.
///
/// `key` is the field that tells items apart (none for scalars); `patch_order` and
/// `server_order` are lists of such keys. Relative orders within both are kept, the patch's
/// first; an item of the server alone goes before the first patched item that followed it.
pub(super) fn arrange(
    merged: Vec<Value>,
    key: Option<&str>,
    patch_order: &[Value],
    server_order: &[Value],
) -> Vec<Value> {
    let position = |item: &Value, order: &[Value]| {
        let wanted = key.map_or(Some(item), |key| item.get(key));
        wanted.and_then(|wanted| order.iter().position(|other| other == wanted))
    };
    let (mut patched, mut server_only): (Vec<Value>, Vec<Value>) =
        merged.into_iter().partition(|item| position(item, patch_order).is_some());
    patched.sort_by_key(|item| position(item, patch_order));
    server_only.sort_by_key(|item| position(item, server_order));

    let mut arranged = Vec::with_capacity(patched.len() + server_only.len());
    let (mut left, mut right) = (server_only.into_iter().peekable(), patched.into_iter().peekable());
    while let (Some(from_server), Some(from_patch)) = (left.peek(), right.peek()) {
        let places = (position(from_server, server_order), position(from_patch, server_order));
        let server_first = matches!(places, (Some(server), Some(patch)) if server < patch);
        arranged.extend(if server_first { left.next() } else { right.next() });
    }
    arranged.extend(left);
    arranged.extend(right);
    arranged
}
