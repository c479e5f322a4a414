//! Properties over arbitrary deliveries, for all schemes.

use proptest::prelude::*;

use super::super::signature;
use super::*;

/// One of the cases.
fn any_case() -> impl Strategy<Value = Case> {
    any::<prop::sample::Index>().prop_map(|index| {
        let mut cases = cases();
        cases.swap_remove(index.index(cases.len()))
    })
}

/// Bodies that every scheme can read.
fn any_body() -> impl Strategy<Value = Vec<u8>> {
    any::<String>().prop_map(|text| {
        let body = serde_json::json!({ "webhookTimestamp": NOW_MS, "text": text });
        body.to_string().into_bytes()
    })
}

/// Flips one bit.
fn flip(bytes: &mut [u8], at: prop::sample::Index) {
    let bit = at.index(bytes.len() * 8);
    bytes[bit / 8] ^= 1 << (bit % 8);
}

proptest! {
    #[test]
    fn what_is_signed_is_let_in(case in any_case(), body in any_body()) {
        let verified = case.verify(&case.delivery_of(&body));
        prop_assert!(verified.is_ok(), "{}: {verified:?}", case.name);
    }

    #[test]
    fn a_flipped_bit_of_the_body_is_refused(
        case in any_case(), body in any_body(), at in any::<prop::sample::Index>(),
    ) {
        let mut delivery = case.delivery_of(&body);
        flip(&mut delivery.body, at);
        prop_assert_eq!(case.verify(&delivery), Err(Refusal::WrongSignature));
    }

    #[test]
    fn a_flipped_bit_of_the_signature_is_refused(
        case in any_case(), at in any::<prop::sample::Index>(),
    ) {
        let mut delivery = case.delivery();
        let accept = &case.scheme.accept;
        let kind = if case.name.ends_with("ed25519") { &accept[1] } else { &accept[0] };
        let (_, text) = case.parted(&delivery);
        let mut bytes = match kind.encoding {
            tombolo_core::workflow::SignatureEncoding::Hex => hex::decode(text).unwrap(),
            tombolo_core::workflow::SignatureEncoding::Base64 => BASE64.decode(text).unwrap(),
        };
        flip(&mut bytes, at);
        let header = signature::write(&case.scheme, kind, &bytes, "1678886400");
        delivery.set(&case.scheme.signature.header, &header);
        prop_assert_eq!(case.verify(&delivery), Err(Refusal::WrongSignature));
    }

    /// Whatever bit of the header it is: only the case of a hexadecimal digit makes no difference.
    #[test]
    fn a_flipped_bit_of_the_signature_header_is_refused(
        case in any_case(), at in any::<prop::sample::Index>(),
    ) {
        let mut delivery = case.delivery();
        let name: HeaderName = case.scheme.signature.header.parse().unwrap();
        let (before, signature) = case.parted(&delivery);
        let (before, signature) = (before.to_owned(), signature.to_owned());
        let mut bytes = delivery.headers[&name].as_bytes().to_vec();
        flip(&mut bytes, at);
        let same = case.is_hex()
            && bytes[..before.len()] == *before.as_bytes()
            && bytes[before.len()..].eq_ignore_ascii_case(signature.as_bytes());
        // A value that cannot be a header is refused by HTTP.
        if let Ok(value) = HeaderValue::from_bytes(&bytes) {
            delivery.headers.insert(name, value);
            prop_assert_eq!(case.verify(&delivery).is_ok(), same, "{}", case.name);
        }
    }

    #[test]
    fn a_flipped_bit_of_a_timestamp_or_id_header_is_refused(
        case in any_case(), at in any::<prop::sample::Index>(),
    ) {
        let mut names: Vec<_> = case.scheme.id_header.clone().into_iter().collect();
        if let Some(TimestampSource::Header(name)) = case.rule().map(|rule| &rule.from) {
            names.push(name.clone());
        }
        for name in names {
            let mut delivery = case.delivery();
            let name: HeaderName = name.parse().unwrap();
            let mut bytes = delivery.headers[&name].as_bytes().to_vec();
            flip(&mut bytes, at);
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                delivery.headers.insert(&name, value);
                prop_assert!(case.verify(&delivery).is_err(), "{}: {name}", case.name);
            }
        }
    }

    #[test]
    fn no_header_brings_the_verifier_down(
        case in any_case(), value in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut delivery = case.delivery();
        if let Ok(value) = HeaderValue::from_bytes(&value) {
            for name in delivery.headers.keys().cloned().collect::<Vec<_>>() {
                delivery.headers.insert(name, value.clone());
            }
            prop_assert!(case.verify(&delivery).is_err());
        }
    }
}
