//! Ids as parameters of statements.

use uuid::Uuid;

/// An id as a parameter.
pub(super) fn id_bytes(id: Uuid) -> Vec<u8> {
    id.as_bytes().to_vec()
}

/// Ids as one parameter: a JSON array of hexadecimal digits, for
/// `IN (SELECT unhex(value) FROM json_each(?))`.
pub(super) fn id_list(ids: impl IntoIterator<Item = Uuid>) -> String {
    let mut list = String::from("[");
    for id in ids {
        if list.len() > 1 {
            list.push(',');
        }
        list.push('"');
        list.push_str(id.simple().encode_lower(&mut Uuid::encode_buffer()));
        list.push('"');
    }
    list.push(']');
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_list_is_json() {
        let list = id_list([Uuid::from_u128(1), Uuid::from_u128(0xab)]);
        let back: Vec<String> = serde_json::from_str(&list).unwrap();
        assert_eq!(back[1], "000000000000000000000000000000ab");
        assert_eq!(id_list([]), "[]");
    }
}
