//! What else a signature covers: method, URL and id.

use super::*;

#[test]
fn a_signed_url_is_the_one_that_was_called() {
    for name in ["hubspot-v3", "square"] {
        let case = Case::shared(name, scheme(name), "key");
        for url in ["https://hooks.example.com/hooks/acme/deals", "http://hooks.example.com/x", ""]
        {
            let mut changed = case.delivery();
            changed.url = url.to_owned();
            assert_eq!(case.refused(&changed), "wrong-signature", "{name}: {url}");
        }
    }
    let case = Case::shared("hubspot-v3", scheme("hubspot-v3"), "key");
    let mut changed = case.delivery();
    changed.method = Method::PUT;
    assert_eq!(case.refused(&changed), "wrong-signature");
}

#[test]
fn hubspot_may_sign_the_url_escaped_or_not_and_nothing_else() {
    let case = Case::shared("hubspot-v3", scheme("hubspot-v3"), "key");
    let verify = |signed_url: &str, called_url: &str| {
        let mut delivery = case.unsigned(BODY);
        delivery.url = signed_url.to_owned();
        let headers = sign(&case.scheme, &case.sender, &delivery.signed(), NOW_MS).unwrap();
        delivery.headers.extend(headers);
        delivery.url = called_url.to_owned();
        case.verify(&delivery).map(|_| ()).map_err(|refusal| refusal.code())
    };
    let escaped = "https://hooks.example.com/h?at=10%3A30&who=%40ann";
    let decoded = "https://hooks.example.com/h?at=10:30&who=@ann";
    assert_eq!(verify(escaped, escaped), Ok(()));
    assert_eq!(verify(decoded, escaped), Ok(()));
    assert_eq!(verify(decoded, decoded), Ok(()));
    assert_eq!(verify(escaped, decoded), Err("wrong-signature"));
    assert_eq!(
        verify("https://h.example/?a=1&b", "https://h.example/?a=1%26b"),
        Err("wrong-signature")
    );
}

#[test]
fn an_id_that_is_signed_is_there_and_cannot_run_into_what_follows() {
    for name in ["standard-webhooks", "svix"] {
        let case = Case::shared(name, scheme(name), STANDARD_SECRET);
        let header = case.scheme.id_header.clone().unwrap();

        let mut without = case.delivery();
        without.headers.remove(&header);
        assert_eq!(case.refused(&without), "missing-id");

        for id in ["", &"a".repeat(257), "msg.1"] {
            let mut changed = case.delivery();
            changed.set(&header, id);
            assert_eq!(case.refused(&changed), "malformed-id", "{id}");
        }
        // `msg_1.1678886400.{..}` signs the same bytes as id `msg_1.1678886400` with a time taken
        // out of the body would.
        let mut shifted = case.delivery_of(b"1678886400.{}");
        shifted.set(&header, "msg_1.1678886400");
        shifted.body = b"{}".to_vec();
        assert_eq!(case.refused(&shifted), "malformed-id");
    }
}
