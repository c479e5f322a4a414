//! One matrix for all schemes: what is let in, what is not, and under which name.

use tombolo_core::workflow::SignatureForm;

use super::*;

#[test]
fn a_signed_delivery_is_let_in_and_tells_id_time_and_secret() {
    for case in cases() {
        let verified = case.verify(&case.delivery()).unwrap();
        let id = match (&case.scheme.dedupe, &case.scheme.id_header) {
            (Some(DedupeSource::Header(_)), Some(_)) => Some("msg_1"),
            (Some(DedupeSource::Header(_)), None) => Some("delivery_1"),
            _ => None,
        };
        assert_eq!(verified.dedupe.as_deref(), id, "{}", case.name);
        assert_eq!(verified.timestamp_ms, case.rule().map(|_| NOW_MS), "{}", case.name);
        assert_eq!(verified.secret_index, 0);
    }
}

#[test]
fn a_body_is_bytes() {
    let gzip = [0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x03, 0x03, 0x00];
    for case in cases() {
        // A scheme with the time in its body needs a body to read.
        let in_body = matches!(case.rule(), Some(rule) if times::is_in_body(&rule.from));
        for body in [&b""[..], &gzip, &[0xff, 0xfe, 0x00, 0x80], &[b'['; 10_000]] {
            let result = case.verify(&case.delivery_of(body)).map_err(|refusal| refusal.code());
            match in_body {
                true => assert_eq!(result, Err("malformed-timestamp"), "{}", case.name),
                false => assert!(result.is_ok(), "{}: {result:?}", case.name),
            }
        }
        // What a decompressing proxy, or a parser that writes JSON anew, makes of it.
        let mut changed = case.delivery_of(br#"{"a": 1}"#);
        changed.body = br#"{"a":1}"#.to_vec();
        assert_eq!(case.refused(&changed), "wrong-signature", "{}", case.name);
    }
}

#[test]
fn another_secret_does_not_do() {
    for case in cases() {
        let other = match case.name.as_str() {
            "standard-webhooks ed25519" => {
                let key = ed25519_dalek::SigningKey::from_bytes(&[7; 32]).verifying_key();
                secret(&format!("whpk_{}", BASE64.encode(key.as_bytes())))
            }
            "standard-webhooks" | "svix" => secret("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
            _ => secret("it's a secret to everybody"),
        };
        let other = Case { receiver: other, ..case };
        assert_eq!(other.refused(&other.delivery()), "wrong-signature", "{}", other.name);
    }
}

#[test]
fn no_secret_and_an_empty_secret_let_nobody_in() {
    for case in cases() {
        let unsigned = case.unsigned(BODY);
        let result = verify(&case.scheme, &[], &unsigned.signed(), NOW_MS);
        assert_eq!(result, Err(Refusal::NoSecret), "{}", case.name);

        let delivery = case.delivery();
        for secrets in [vec![], vec![secret("")], vec![secret("whsec_"), secret("")]] {
            let result = verify(&case.scheme, &secrets, &delivery.signed(), NOW_MS);
            let code = result.unwrap_err().code();
            // `whsec_` is a secret like any other where it is taken whole.
            let whole = secrets.len() == 2 && case.scheme.accept[0].key.is_default();
            assert_eq!(code, if whole { "wrong-signature" } else { "no-secret" }, "{}", case.name);
        }
    }
}

#[test]
fn every_live_secret_is_tried_and_no_more_than_the_bound() {
    for case in cases() {
        let delivery = case.delivery();
        let wrong = |_| secret("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
        let after = |count: usize| {
            let secrets = (0..count).map(wrong).chain([case.receiver.clone()]);
            verify(&case.scheme, &secrets.collect::<Vec<_>>(), &delivery.signed(), NOW_MS)
        };
        let last = super::super::MAX_SECRETS - 1;
        assert_eq!(after(last).unwrap().secret_index, last, "{}", case.name);
        assert_eq!(after(last + 1), Err(Refusal::WrongSignature), "{}", case.name);
    }
}

#[test]
fn a_signature_has_to_be_there_whole_and_of_its_form() {
    for case in cases() {
        let name = case.scheme.signature.header.clone();
        let delivery = case.delivery();
        let (before, signature) = case.parted(&delivery);
        let refused = |value: &str| {
            let mut changed = case.delivery();
            changed.set(&name, value);
            case.refused(&changed)
        };

        let mut without = case.delivery();
        without.headers.remove(&name);
        assert_eq!(case.refused(&without), "missing-signature", "{}", case.name);
        let empty = if case.scheme.signature.form == SignatureForm::Raw { "" } else { before };
        assert_eq!(refused(empty), "missing-signature", "{}", case.name);

        let truncated = &signature[..signature.len() - 4];
        let padded = format!("{before}{signature}00");
        let not_ours = format!("{before}{}", "~".repeat(signature.len()));
        for value in [&format!("{before}{truncated}"), &padded, &not_ours] {
            assert_eq!(refused(value), "malformed-signature", "{}: {value}", case.name);
        }
        let huge = format!("{before}{}", "a".repeat(9000));
        assert_eq!(refused(&huge), "malformed-signature", "{}", case.name);

        let mut bytes = case.delivery();
        bytes.set_bytes(&name, b"\xff\xfe");
        assert_eq!(case.refused(&bytes), "malformed-signature", "{}", case.name);
    }
}

#[test]
fn another_prefix_or_label_is_not_a_signature() {
    for case in cases() {
        let delivery = case.delivery();
        let (_, signature) = case.parted(&delivery);
        let (value, code) = match case.scheme.signature.form {
            SignatureForm::Raw => (format!("sha256={signature}"), "malformed-signature"),
            SignatureForm::Prefix(_) => (format!("sha0={signature}"), "malformed-signature"),
            SignatureForm::Pairs => (format!("t=1678886400,v0={signature}"), "missing-signature"),
            SignatureForm::List => (format!("v2,{signature}"), "missing-signature"),
        };
        let mut changed = case.delivery();
        changed.set(&case.scheme.signature.header, &value);
        assert_eq!(case.refused(&changed), code, "{}", case.name);
    }
}

#[test]
fn hexadecimal_is_read_in_either_case_and_base64_is_not() {
    for case in cases() {
        let mut changed = case.delivery();
        let (before, signature) = case.parted(&changed);
        let value = format!("{before}{}", signature.to_ascii_uppercase());
        changed.set(&case.scheme.signature.header, &value);
        assert_eq!(case.verify(&changed).is_ok(), case.is_hex(), "{}", case.name);
    }
}

#[test]
fn a_header_that_counts_is_there_once() {
    for case in cases() {
        let mut names = vec![case.scheme.signature.header.clone()];
        names.extend(case.scheme.id_header.clone());
        if let Some(TimestampSource::Header(name)) = case.rule().map(|rule| &rule.from) {
            names.push(name.clone());
        }
        if let Some(DedupeSource::Header(name)) = &case.scheme.dedupe {
            names.push(name.clone());
        }
        for name in names {
            let mut doubled = case.delivery();
            let value = doubled.get(&name).to_owned();
            doubled.append(&name, &value);
            assert_eq!(case.refused(&doubled), "duplicate-header", "{}: {name}", case.name);
        }
    }
}

#[test]
fn one_good_signature_among_several_is_enough_and_their_number_is_bounded() {
    for case in cases() {
        let delivery = case.delivery();
        let (before, signature) = case.parted(&delivery);
        // `before` ends in the label of the signature, such as `v1=`.
        let (separator, label) = match case.scheme.signature.form {
            SignatureForm::Pairs => (",", before.rsplit(',').next().unwrap()),
            SignatureForm::List => (" ", before),
            SignatureForm::Raw | SignatureForm::Prefix(_) => continue,
        };
        let head = before.strip_suffix(label).unwrap();
        let wrong = case.delivery_of(b"something else");
        let wrong = format!("{label}{}", case.parted(&wrong).1);
        let good = format!("{label}{signature}");
        let garbage = format!("{label}zz");
        let other_kind = "v9=zz,zz".to_owned();
        let long = format!("v9=,{}", "z".repeat(8 * 1024));
        let verify = |signatures: &[&str]| {
            let mut changed = case.delivery();
            let value = format!("{head}{}", signatures.join(separator));
            changed.set(&case.scheme.signature.header, &value);
            case.verify(&changed).map(|_| ()).map_err(|refusal| refusal.code())
        };

        assert_eq!(verify(&[&good, &wrong]), Ok(()), "{}", case.name);
        assert_eq!(verify(&[&wrong, &good]), Ok(()), "{}", case.name);
        assert_eq!(verify(&[&garbage, &good]), Ok(()), "{}", case.name);
        assert_eq!(verify(&[&other_kind, &good]), Ok(()), "{}", case.name);
        assert_eq!(verify(&[&wrong, &wrong, &wrong, &wrong, &good]), Ok(()), "{}", case.name);
        assert_eq!(verify(&[&wrong, &wrong]), Err("wrong-signature"), "{}", case.name);
        let six = [wrong.as_str(), &wrong, &wrong, &wrong, &wrong, &good];
        assert_eq!(verify(&six), Err("malformed-signature"), "{}", case.name);
        assert_eq!(verify(&[&long, &good]), Err("malformed-signature"), "{}", case.name);
    }
}

#[test]
fn a_public_key_does_not_pass_for_a_shared_one() {
    // Whoever knows the public key signs with it, as if it were the key of an HMAC.
    let case = &cases().into_iter().find(|case| case.name.ends_with("ed25519")).unwrap();
    let public = String::from_utf8(case.receiver.reveal().to_vec()).unwrap();
    let forger = Case {
        sender: secret(&public.replace("whpk_", "whsec_")),
        receiver: case.receiver.clone(),
        scheme: case.scheme.clone(),
        name: case.name.clone(),
    };
    assert_eq!(forger.refused(&forger.delivery()), "wrong-signature");
}

#[test]
fn a_second_delivery_of_the_same_carries_the_same_id() {
    for case in cases() {
        let first = case.verify(&case.delivery()).unwrap();
        let again = case.verify(&case.delivery()).unwrap();
        assert_eq!(first, again, "{}", case.name);
    }
}

#[test]
fn a_refusal_never_shows_a_secret_or_a_signature() {
    for case in cases() {
        let mut changed = case.delivery();
        let (_, good) = case.parted(&changed);
        let good = good.to_owned();
        changed.body.clear();
        let refusal = case.verify(&changed).unwrap_err();
        let told = format!("{refusal} {refusal:?}");
        let text = String::from_utf8_lossy(case.receiver.reveal()).into_owned();
        assert!(!told.contains(&good) && !told.contains(&text), "{told}");
    }
}
