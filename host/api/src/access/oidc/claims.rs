//! What the claims of a token say: for whom it is, how long, and whose it is.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value};
use tombolo_core::clock::Timestamp;
use tombolo_core::role::Role;

use super::jws::Invalid;

/// Longest `sub`, in bytes.
const MAX_SUBJECT_BYTES: usize = 255;

/// What a token has to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub issuer: String,
    pub audience: String,
    pub leeway: Duration,
}

/// Checks issuer, audience and times (RFC 7519), and gives the subject.
pub(super) fn check(
    claims: &Map<String, Value>,
    wanted: &Wanted,
    now: Timestamp,
) -> Result<String, Invalid> {
    if claims.get("iss").and_then(Value::as_str) != Some(&wanted.issuer) {
        return Err(Invalid::Claim("iss"));
    }
    let for_us = match claims.get("aud") {
        Some(Value::String(one)) => *one == wanted.audience,
        Some(Value::Array(all)) => all.iter().any(|one| one == &*wanted.audience),
        _ => false,
    };
    if !for_us {
        return Err(Invalid::Claim("aud"));
    }
    let end = time(claims, "exp")?.ok_or(Invalid::Claim("exp"))?;
    if now >= end.plus(wanted.leeway) {
        return Err(Invalid::Expired);
    }
    let start = time(claims, "nbf")?;
    if start.is_some_and(|start| now.plus(wanted.leeway) < start) {
        return Err(Invalid::TooEarly);
    }
    claims
        .get("sub")
        .and_then(Value::as_str)
        .filter(|text| (1..=MAX_SUBJECT_BYTES).contains(&text.len()))
        .filter(|text| !text.chars().any(char::is_control))
        .map(str::to_owned)
        .ok_or(Invalid::Claim("sub"))
}

/// A time in seconds since 1970, perhaps with a fraction. One that is no such number is refused, not
/// taken for missing.
fn time(claims: &Map<String, Value>, name: &'static str) -> Result<Option<Timestamp>, Invalid> {
    /// Year 9999.
    const LATEST: f64 = 253_402_300_799.0;
    let Some(value) = claims.get(name) else { return Ok(None) };
    match value.as_f64() {
        Some(seconds) if (0.0..=LATEST).contains(&seconds) => {
            #[expect(clippy::cast_possible_truncation, reason = "it is in range")]
            let ms = (seconds * 1_000.0) as i64;
            Ok(Some(Timestamp(ms)))
        }
        _ => Err(Invalid::Claim(name)),
    }
}

/// A claim by its name, or by a JSON pointer where it is inside another: `/realm_access/roles`.
pub(super) fn find<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    match name.strip_prefix('/') {
        None => claims.get(name),
        Some(rest) => {
            let (first, inner) = rest.split_once('/').unwrap_or((rest, ""));
            let found = claims.get(&first.replace("~1", "/").replace("~0", "~"))?;
            if inner.is_empty() { Some(found) } else { found.pointer(&format!("/{inner}")) }
        }
    }
}

/// The highest role that a claim's values are mapped to. A text of several words is several values,
/// as in `scope`.
pub(super) fn role(value: &Value, roles: &BTreeMap<String, Role>) -> Option<Role> {
    let words = match value {
        Value::String(text) => text.split_whitespace().collect(),
        Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    words.into_iter().filter_map(|word| roles.get(word)).copied().max()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp(1_790_000_000_000);
    const NOW_S: i64 = 1_790_000_000;

    fn checked(claims: Value) -> Result<String, Invalid> {
        let wanted = Wanted {
            issuer: "https://id.example.com".to_owned(),
            audience: "tombolo".to_owned(),
            leeway: Duration::from_secs(30),
        };
        check(claims.as_object().unwrap(), &wanted, NOW)
    }

    fn with(name: &str, value: Value) -> Result<String, Invalid> {
        let mut claims = json!({
            "iss": "https://id.example.com", "aud": "tombolo", "sub": "ada", "exp": NOW_S + 60,
        });
        claims[name] = value;
        checked(claims)
    }

    #[test]
    fn issuer_and_audience_are_exactly_ours() {
        assert_eq!(with("aud", json!("tombolo")), Ok("ada".to_owned()));
        assert_eq!(with("aud", json!(["other", "tombolo"])), Ok("ada".to_owned()));
        for aud in [json!("tombolo2"), json!([]), json!(["x"]), json!(null), json!({"tombolo": 1})]
        {
            assert_eq!(with("aud", aud), Err(Invalid::Claim("aud")));
        }
        for iss in
            [json!("https://id.example.com/"), json!(["https://id.example.com"]), json!(null)]
        {
            assert_eq!(with("iss", iss), Err(Invalid::Claim("iss")));
        }
    }

    #[test]
    fn times_have_the_leeway_and_no_more() {
        assert_eq!(with("exp", json!(NOW_S - 29)), Ok("ada".to_owned()));
        assert_eq!(with("exp", json!(NOW_S - 30)), Err(Invalid::Expired));
        assert_eq!(with("nbf", json!(NOW_S + 30)), Ok("ada".to_owned()));
        assert_eq!(with("nbf", json!(NOW_S + 31)), Err(Invalid::TooEarly));
        assert_eq!(with("exp", json!(f64::from(2_000_000_000) + 0.5)), Ok("ada".to_owned()));
        for wrong in [json!("1790000060"), json!(null), json!(-1), json!(1e300)] {
            assert_eq!(with("exp", wrong.clone()), Err(Invalid::Claim("exp")));
            assert_eq!(with("nbf", wrong), Err(Invalid::Claim("nbf")));
        }
    }

    #[test]
    fn a_subject_can_stand_in_a_log() {
        for wrong in [json!(""), json!("a\nb"), json!("x".repeat(256)), json!(1)] {
            assert_eq!(with("sub", wrong), Err(Invalid::Claim("sub")));
        }
    }

    #[test]
    fn claims_are_found_by_name_and_inside_others() {
        let claims = json!({
            "https://t.example/role": "a", "realm": {"access": {"roles": ["b"]}}, "a/b": 1,
        });
        let claims = claims.as_object().unwrap();
        assert_eq!(find(claims, "https://t.example/role"), Some(&json!("a")));
        assert_eq!(find(claims, "/realm/access/roles"), Some(&json!(["b"])));
        assert_eq!(find(claims, "/a~1b"), Some(&json!(1)));
        assert_eq!((find(claims, "/realm/x"), find(claims, "x")), (None, None));
    }

    #[test]
    fn the_highest_role_counts() {
        let roles = BTreeMap::from([
            ("staff".to_owned(), Role::Viewer),
            ("platform".to_owned(), Role::Editor),
        ]);
        assert_eq!(role(&json!("staff"), &roles), Some(Role::Viewer));
        assert_eq!(role(&json!("staff platform"), &roles), Some(Role::Editor));
        assert_eq!(role(&json!(["x", "platform", "staff", 1]), &roles), Some(Role::Editor));
        for nothing in [json!("admin"), json!([]), json!(null), json!({"staff": true})] {
            assert_eq!(role(&nothing, &roles), None);
        }
    }
}
