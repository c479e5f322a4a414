//! When a limit of calls is over, where no `Retry-After` says so: `RateLimit` of
//! draft-ietf-httpapi-ratelimit-headers-10 (`"default";r=0;t=30`) and of its earlier forms
//! (`limit=10, remaining=0, reset=30`), `RateLimit-Reset`, and `X-RateLimit-Reset`, which means
//! seconds to wait at one provider and a time at another. What cannot be understood is ignored.

use std::time::{Duration, SystemTime};

/// A number of seconds up to this is a wait; the smallest time that is meant as one is far larger.
const LONGEST_WAIT: f64 = 366.0 * 24.0 * 3600.0;

/// A point in time may have passed by so much, or lie so far ahead, to be believed; seconds.
const PLAUSIBLE: f64 = 7.0 * 24.0 * 3600.0;

/// How many calls are left, and when there are more.
#[derive(Debug, Clone, Copy)]
struct Window {
    left: Option<f64>,
    reset: Duration,
}

/// How long to wait after a 429 or a 503; None if the headers don't say, or if the status is
/// another one.
pub fn wait<'a>(
    status: u16,
    header: impl Fn(&str) -> Option<&'a str>,
    now: SystemTime,
) -> Option<Duration> {
    let windows = match header("ratelimit") {
        Some(limits) => fields(limits),
        None => Vec::from_iter(legacy(header, now)),
    };
    // A limit that has calls left is not why the other side is unavailable.
    let exhausted = |window: &&Window| window.left.is_none_or(|left| left <= 0.0);
    let longest = windows.iter().filter(exhausted).map(|window| window.reset).max();
    match status {
        503 => longest,
        // One of them it must have been.
        429 => longest.or_else(|| windows.iter().map(|window| window.reset).max()),
        _ => None,
    }
}

/// The windows of a `RateLimit` header: each a list member with `r` and `t`, or one of them in three
/// members.
fn fields(header: &str) -> Vec<Window> {
    let members: Vec<Vec<&str>> =
        split(header, ',').into_iter().map(|member| split(member, ';')).collect();
    let number = |parts: &[&str], name: &str| {
        let value = parts.iter().find_map(|part| {
            let (key, value) = part.split_once('=')?;
            key.trim().eq_ignore_ascii_case(name).then_some(value)
        });
        value.and_then(number)
    };
    let own = members.iter().filter_map(|parts| {
        let reset = seconds(number(parts, "t")?)?;
        Some(Window { left: number(parts, "r"), reset })
    });
    let windows: Vec<Window> = own.collect();
    if !windows.is_empty() {
        return windows;
    }
    let parts = members.concat();
    let reset = number(&parts, "reset").and_then(seconds);
    Vec::from_iter(reset.map(|reset| Window { left: number(&parts, "remaining"), reset }))
}

/// The headers of one number each.
fn legacy<'a>(header: impl Fn(&str) -> Option<&'a str>, now: SystemTime) -> Option<Window> {
    ["ratelimit-", "x-ratelimit-", "x-rate-limit-"].into_iter().find_map(|prefix| {
        let value = |name: &str| header(&format!("{prefix}{name}")).and_then(number);
        Some(Window { left: value("remaining"), reset: due(value("reset")?, now)? })
    })
}

/// A wait in seconds, or a time in seconds or milliseconds since 1970.
fn due(value: f64, now: SystemTime) -> Option<Duration> {
    if value <= LONGEST_WAIT {
        return seconds(value);
    }
    let now = now.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs_f64();
    let ahead = [value, value / 1000.0].map(|time| time - now);
    let plausible = ahead.into_iter().find(|ahead| ahead.abs() <= PLAUSIBLE)?;
    seconds(plausible.max(0.0))
}

fn seconds(value: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(value).ok()
}

fn number(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|value: &f64| value.is_finite() && *value >= 0.0)
}

/// The parts between `at`, but not within quotes.
fn split(text: &str, at: char) -> Vec<&str> {
    let mut quoted = false;
    text.split(move |found: char| {
        quoted ^= found == '"';
        found == at && !quoted
    })
    .map(str::trim)
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2023-03-15T13:20:00Z.
    const NOW: u64 = 1_678_886_400;

    fn waits(status: u16, headers: &[(&str, &str)]) -> Option<u64> {
        let header = |name: &str| {
            headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|pair| pair.1)
        };
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW);
        wait(status, header, now).map(|wait| wait.as_secs())
    }

    #[test]
    fn the_longest_exhausted_limit_counts() {
        let limits = r#""burst, fine";r=0;t=30, "daily";r=0;t=600;pk=:a=:, "other";r=5;t=9000"#;
        assert_eq!(waits(429, &[("RateLimit", limits)]), Some(600));
        assert_eq!(waits(503, &[("RateLimit", limits)]), Some(600));
        assert_eq!(waits(500, &[("RateLimit", limits)]), None, "it says nothing of limits");
        let left = r#""default";r=50;t=30"#;
        assert_eq!(waits(429, &[("RateLimit", left)]), Some(30));
        assert_eq!(waits(503, &[("RateLimit", left)]), None);
        let before = "limit=100, remaining=0, reset=50";
        assert_eq!(waits(429, &[("RateLimit", before)]), Some(50));
    }

    #[test]
    fn a_reset_is_a_wait_or_a_time() {
        let later = (NOW + 90).to_string();
        let in_ms = ((NOW + 45) * 1000).to_string();
        let passed = (NOW - 5).to_string();
        let cases = [
            ("RateLimit-Reset", "7", Some(7)),
            ("X-RateLimit-Reset", "12", Some(12)),
            ("X-RateLimit-Reset", "1.5", Some(1)),
            ("x-rate-limit-reset", later.as_str(), Some(90)),
            ("X-RateLimit-Reset", in_ms.as_str(), Some(45)),
            ("X-RateLimit-Reset", passed.as_str(), Some(0)),
            // In the year 2033.
            ("X-RateLimit-Reset", "2000000000", None),
            ("X-RateLimit-Reset", "soon", None),
            ("X-RateLimit-Reset", "-3", None),
            ("RateLimit", r#""default";q=10"#, None),
        ];
        for (name, value, expected) in cases {
            assert_eq!(waits(429, &[(name, value)]), expected, "{name}: {value}");
        }
        let left = [("X-RateLimit-Remaining", "9"), ("X-RateLimit-Reset", "12")];
        assert_eq!(waits(503, &left), None, "the limit is not why");
    }
}
