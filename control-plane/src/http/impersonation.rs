//! Calls in somebody else's name: `kubectl --as`, the headers `Impersonate-*`.
//!
//! In: who calls, and the headers. Out: the caller that everything afterwards sees. Only
//! administrators may; the words of the refusal are upstream's.

use http::HeaderMap;
use nodeplane_api::status::Status;

use super::{
    authn::{AUTHENTICATED, Caller, MASTERS, UNAUTHENTICATED},
    call::decode,
};

const USER: &str = "impersonate-user";
const GROUP: &str = "impersonate-group";
const UID: &str = "impersonate-uid";
const EXTRA: &str = "impersonate-extra-";

/// Who is meant, when the headers name somebody; the caller otherwise.
///
/// # Errors
/// 403 for who may not, 500 (as upstream) for headers that name no user.
pub(super) fn effective(caller: Caller, headers: &HeaderMap) -> Result<Caller, Status> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let groups: Vec<String> =
        headers.get_all(GROUP).iter().filter_map(|value| value.to_str().ok()).map(str::to_owned).collect();
    let user = text(USER);
    let has_more =
        !groups.is_empty() || headers.contains_key(UID) || headers.keys().any(|name| name.as_str().starts_with(EXTRA));
    if user.is_empty() {
        return match has_more {
            true => {
                Err(Status::internal("requested impersonation of groups, uid or extra without impersonating a user"))
            }
            false => Ok(caller),
        };
    }
    if !caller.is_in(MASTERS) {
        return Err(Status::access_denied(refusal(&caller, user)));
    }
    let meant = Caller::named(user, with_common_groups(user, groups)).with_uid(text(UID));
    Ok(extra(headers).fold(meant, |meant, (key, value)| meant.with_extra(key, vec![value])))
}

/// What the headers say besides, in order. Keys are percent-encoded, since headers hold few signs.
fn extra(headers: &HeaderMap) -> impl Iterator<Item = (String, String)> {
    headers.iter().filter_map(|(name, value)| {
        let key = name.as_str().strip_prefix(EXTRA)?;
        Some((decode(key, false), value.to_str().ok()?.to_owned()))
    })
}

fn refusal(caller: &Caller, user: &str) -> String {
    let (resource, name, place) = match service_account(user) {
        Some((namespace, name)) => ("serviceaccounts", name, format!("in the namespace \"{namespace}\"")),
        None => ("users", user, "at the cluster scope".to_owned()),
    };
    format!(
        "{resource} \"{name}\" is forbidden: User \"{}\" cannot impersonate resource \"{resource}\" in API group \"\" \
         {place}",
        caller.name()
    )
}

/// The groups that everybody of the kind is in.
fn with_common_groups(user: &str, mut groups: Vec<String>) -> Vec<String> {
    if groups.is_empty()
        && let Some((namespace, _)) = service_account(user)
    {
        groups = vec!["system:serviceaccounts".to_owned(), format!("system:serviceaccounts:{namespace}")];
    }
    let common = if user == Caller::anonymous().name() { UNAUTHENTICATED } else { AUTHENTICATED };
    if !groups.iter().any(|group| group == common) {
        groups.push(common.to_owned());
    }
    groups
}

/// Namespace and name in `system:serviceaccount:NAMESPACE:NAME`.
fn service_account(user: &str) -> Option<(&str, &str)> {
    user.strip_prefix("system:serviceaccount:")?.split_once(':')
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn an_administrator_becomes_whom_they_name_and_nothing_more() {
        let admin = || Caller::component("admin");
        let jane = effective(admin(), &headers(&[(USER, "jane"), (GROUP, "dev"), (GROUP, "ops")])).unwrap();
        assert_eq!((jane.name(), jane.groups()), ("jane", &["dev", "ops", AUTHENTICATED].map(str::to_owned)[..]));
        let robot = effective(admin(), &headers(&[(USER, "system:serviceaccount:web:robot")])).unwrap();
        let groups = ["system:serviceaccounts", "system:serviceaccounts:web", AUTHENTICATED];
        assert_eq!(robot.groups(), groups.map(str::to_owned));
        assert!(!robot.is_in(MASTERS));
        let more = headers(&[(USER, "jane"), (UID, "7"), ("impersonate-extra-example.org%2fteam", "red")]);
        let jane = effective(admin(), &more).unwrap();
        assert_eq!((jane.uid(), &jane.extra()["example.org/team"]), ("7", &vec!["red".to_owned()]));
        assert_eq!(effective(admin(), &HeaderMap::new()).unwrap(), admin());
    }

    #[test]
    fn nobody_else_may_call_in_another_name() {
        let jane = || Caller::named("jane", vec![AUTHENTICATED.to_owned()]);
        let refused = |user| effective(jane(), &headers(&[(USER, user)])).unwrap_err();
        assert_eq!(refused("admin").code, 403);
        assert_eq!(
            refused("admin").message,
            "users \"admin\" is forbidden: User \"jane\" cannot impersonate resource \"users\" in API group \"\" at the \
             cluster scope"
        );
        assert_eq!(
            refused("system:serviceaccount:web:robot").message,
            "serviceaccounts \"robot\" is forbidden: User \"jane\" cannot impersonate resource \"serviceaccounts\" in API \
             group \"\" in the namespace \"web\""
        );
        assert_eq!(effective(jane(), &headers(&[(GROUP, MASTERS)])).unwrap_err().code, 500);
    }
}
