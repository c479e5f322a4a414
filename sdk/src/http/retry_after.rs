//! `Retry-After` in both of its forms, RFC 9110 section 10.2.3: seconds, or an HTTP date.

use std::time::{Duration, SystemTime};

/// How long to wait; None if the header says nothing that can be understood. A date that has passed
/// is no wait.
pub fn parse(header: &str, now: SystemTime) -> Option<Duration> {
    let header = header.trim();
    if !header.is_empty() && header.bytes().all(|byte| byte.is_ascii_digit()) {
        // More than a number can hold is long enough; the host has a longest wait.
        return Some(Duration::from_secs(header.parse().unwrap_or(u64::MAX)));
    }
    let due = httpdate::parse_http_date(header).ok()?;
    Some(due.duration_since(now).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates_are_understood() {
        // Sun, 06 Nov 1994 08:49:37 GMT, the example of RFC 9110.
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777 - 90);
        assert_eq!(parse(" 12 ", now), Some(Duration::from_secs(12)));
        assert_eq!(parse("Sun, 06 Nov 1994 08:49:37 GMT", now), Some(Duration::from_secs(90)));
        assert_eq!(parse("Sat, 05 Nov 1994 08:49:37 GMT", now), Some(Duration::ZERO));
        assert_eq!(parse("soon", now), None);
        assert_eq!(parse("-1", now), None);
        assert_eq!(parse("", now), None);
        assert_eq!(parse(&"9".repeat(30), now), Some(Duration::from_secs(u64::MAX)));
    }
}
