//! Calls in somebody else's name: `kubectl --as`, the headers `Impersonate-*`.
//!
//! In: who calls, and the headers. Out: the caller that everything afterwards sees. Only
//! administrators may; the words of the refusal are upstream's.

use http::{HeaderMap, HeaderValue};
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
/// 403 for who may not, 500 (as upstream) for headers that name no user, 400 for what is no text.
pub(super) fn effective(caller: Caller, headers: &HeaderMap) -> Result<Caller, Status> {
    if !headers.keys().any(|name| is_ours(name.as_str())) {
        return Ok(caller);
    }
    let one = |name: &str| headers.get(name).map_or(Ok(""), |value| text(name, value));
    let user = one(USER)?;
    if user.is_empty() {
        return Err(Status::internal("requested impersonation of groups, uid or extra without impersonating a user"));
    }
    let groups = headers.get_all(GROUP).iter().map(|value| text(GROUP, value).map(str::to_owned));
    let groups = groups.collect::<Result<Vec<_>, _>>()?;
    let (uid, extra) = (one(UID)?, extra(headers)?);
    if !caller.is_in(MASTERS) {
        return Err(Status::access_denied(refusal(&caller, user)));
    }
    let meant = Caller::named(user, with_common_groups(user, groups)).with_uid(uid);
    Ok(extra.into_iter().fold(meant, |meant, (key, value)| meant.with_extra(key, vec![value])))
}

/// What the headers say besides, in order. Keys are percent-encoded, since headers hold few signs.
fn extra(headers: &HeaderMap) -> Result<Vec<(String, String)>, Status> {
    let ours = headers.iter().filter_map(|(name, value)| Some((name.as_str().strip_prefix(EXTRA)?, name, value)));
    ours.map(|(key, name, value)| Ok((decode(key, false), text(name.as_str(), value)?.to_owned()))).collect()
}

fn is_ours(header: &str) -> bool {
    [USER, GROUP, UID].contains(&header) || header.starts_with(EXTRA)
}

/// Clients send UTF-8 as it is. What cannot be read is never taken for absent: the call would run
/// as somebody else than was meant.
fn text<'a>(name: &str, value: &'a HeaderValue) -> Result<&'a str, Status> {
    str::from_utf8(value.as_bytes()).map_err(|_| Status::bad_request(format!("the header {name} is not UTF-8")))
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
    use http::HeaderName;

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
    fn a_header_beyond_ascii_is_read_and_one_that_is_no_text_is_refused() {
        let admin = || Caller::component("admin");
        let with = |name: &'static str, value: &[u8]| {
            let mut all = headers(&[(USER, "jane"), (GROUP, "dev")]);
            all.insert(HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap());
            effective(admin(), &all)
        };
        assert_eq!(with(USER, "jürgen".as_bytes()).unwrap().name(), "jürgen");
        assert!(with(GROUP, "büro".as_bytes()).unwrap().is_in("büro"));
        assert_eq!(with(UID, "ü".as_bytes()).unwrap().uid(), "ü");
        assert_eq!(with("impersonate-extra-a", "ü".as_bytes()).unwrap().extra()["a"], ["ü"]);
        for name in [USER, GROUP, UID, "impersonate-extra-a"] {
            assert_eq!(with(name, b"j\xfcrgen").unwrap_err().code, 400, "{name}");
        }
        assert_eq!(with(USER, b"").unwrap_err().code, 500);
        assert_eq!(effective(admin(), &headers(&[(USER, "")])).unwrap_err().code, 500);
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
