//! `Prefer: wait` (RFC 7240 section 4.3): how long the caller would wait for a result.

use std::time::Duration;

use axum::http::HeaderMap;

/// The wait that was asked for. As the RFC has it, a preference that is not understood is ignored.
pub(crate) fn preferred_wait(headers: &HeaderMap) -> Option<Duration> {
    headers
        .get_all("prefer")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .find_map(wait)
}

/// `wait=10`, perhaps with parameters.
fn wait(preference: &str) -> Option<Duration> {
    let (name, value) = preference.split(';').next()?.split_once('=')?;
    if !name.trim().eq_ignore_ascii_case("wait") {
        return None;
    }
    let seconds: u32 = value.trim().trim_matches('"').parse().ok()?;
    Some(Duration::from_secs(seconds.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(values: &[&str]) -> Option<u64> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("prefer", value.parse().unwrap());
        }
        preferred_wait(&headers).map(|wait| wait.as_secs())
    }

    #[test]
    fn reads_the_first_wait_it_understands() {
        assert_eq!(seconds(&["wait=10"]), Some(10));
        assert_eq!(seconds(&["respond-async, Wait = \"7\"; x=y"]), Some(7));
        assert_eq!(seconds(&["return=minimal", "wait=3"]), Some(3));
        assert_eq!(seconds(&["wait=soon"]), None);
        assert_eq!(seconds(&["wait=-1"]), None);
        assert_eq!(seconds(&[]), None);
    }
}
