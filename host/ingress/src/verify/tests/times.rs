//! The time of sending: signed, readable, within its window, and checked last.

use super::*;

#[test]
fn the_window_is_as_wide_as_it_says() {
    for case in cases() {
        let Some(rule) = case.rule() else { continue };
        let (past_ms, future_ms) = (i64::from(rule.past_s) * 1000, i64::from(rule.future_s) * 1000);
        let delivery = case.delivery();
        let code_at = |now_ms| case.verify_at(&delivery, now_ms).map_err(|refusal| refusal.code());

        assert!(code_at(NOW_MS + past_ms).is_ok(), "{}", case.name);
        assert!(code_at(NOW_MS - future_ms).is_ok(), "{}", case.name);
        assert_eq!(code_at(NOW_MS + past_ms + 1000), Err("stale-timestamp"), "{}", case.name);
        assert_eq!(code_at(NOW_MS - future_ms - 1000), Err("future-timestamp"), "{}", case.name);
        assert_eq!(code_at(i64::MAX), Err("stale-timestamp"), "{}", case.name);
        assert_eq!(code_at(i64::MIN), Err("future-timestamp"), "{}", case.name);
    }
}

#[test]
fn the_presets_have_the_windows_of_the_reference_page() {
    let windows: Vec<_> = presets()
        .filter_map(|(name, preset)| Some((name, preset.scheme.timestamp.as_ref()?)))
        .map(|(name, rule)| (name, rule.past_s, rule.future_s))
        .collect();
    let expected = [
        ("hubspot-v3", 300, 300),
        ("linear", 60, 60),
        ("slack", 300, 300),
        ("standard-webhooks", 300, 300),
        ("stripe", 300, 300),
        ("svix", 300, 300),
        ("zendesk", 300, 300),
    ];
    assert_eq!(windows, expected);
}

#[test]
fn the_time_is_no_oracle_to_somebody_who_cannot_sign() {
    for case in cases() {
        let mut forged = case.delivery();
        forged.body.push(b' ');
        for now_ms in [NOW_MS, NOW_MS + 86_400_000, NOW_MS - 86_400_000] {
            let refusal = case.verify_at(&forged, now_ms).unwrap_err();
            assert_eq!(refusal, Refusal::WrongSignature, "{}", case.name);
        }
    }
}

#[test]
fn a_timestamp_is_signed() {
    for case in cases() {
        let mut changed = case.delivery();
        match case.rule().map(|rule| &rule.from) {
            Some(TimestampSource::Header(name)) => {
                let later = later(changed.get(name));
                changed.set(name, &later);
            }
            Some(TimestampSource::Parameter(label)) => {
                let header = &case.scheme.signature.header;
                let value = changed.get(header);
                let value =
                    value.replace(&format!("{label}=1678886400"), &format!("{label}=1678886401"));
                changed.set(header, &value);
            }
            Some(TimestampSource::BodyPointer(_)) => {
                let body = String::from_utf8(changed.body).unwrap();
                changed.body = body.replace("1678886400000", "1678886400001").into_bytes();
            }
            None => continue,
        }
        assert_eq!(case.refused(&changed), "wrong-signature", "{}", case.name);
    }
}

/// A second or a millisecond later.
fn later(timestamp: &str) -> String {
    match timestamp.parse::<i64>() {
        Ok(number) => (number + 1).to_string(),
        Err(_) => timestamp.replace("13:20:00", "13:20:01"),
    }
}

#[test]
fn a_timestamp_is_there() {
    for case in cases() {
        let mut without = case.delivery();
        let code = match case.rule().map(|rule| &rule.from) {
            Some(TimestampSource::Header(name)) => {
                without.headers.remove(name);
                "missing-timestamp"
            }
            Some(TimestampSource::Parameter(label)) => {
                let header = &case.scheme.signature.header;
                let value = without.get(header).replace(&format!("{label}=1678886400,"), "");
                without.set(header, &value);
                "missing-timestamp"
            }
            Some(TimestampSource::BodyPointer(_)) => {
                without = case.delivery_of(br#"{"id":"evt_1"}"#);
                "malformed-timestamp"
            }
            None => continue,
        };
        assert_eq!(case.refused(&without), code, "{}", case.name);
    }
}

#[test]
fn a_timestamp_is_a_number_even_if_it_is_signed() {
    let far = "9".repeat(300);
    for case in cases() {
        let Some(rule) = case.rule() else { continue };
        for text in ["yesterday", "", "-5", "+5", "1e9", "0x5", "1678886400.5", "5 ", &far] {
            let signed = if is_in_body(&rule.from) {
                case.delivery_of(format!(r#"{{"webhookTimestamp":"{text}"}}"#).as_bytes())
            } else {
                case.delivery_at(text)
            };
            assert_eq!(case.refused(&signed), "malformed-timestamp", "{}: `{text}`", case.name);
        }
    }
}

pub(super) fn is_in_body(source: &TimestampSource) -> bool {
    matches!(source, TimestampSource::BodyPointer(_))
}

#[test]
fn two_timestamps_in_one_header_are_refused() {
    let case = Case::shared("stripe", scheme("stripe"), "key");
    let mut doubled = case.delivery();
    let value = format!("t=1,{}", doubled.get("stripe-signature"));
    doubled.set("stripe-signature", &value);
    assert_eq!(case.refused(&doubled), "malformed-signature");
}
