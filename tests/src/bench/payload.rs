//! What the webhooks carry: about 110 bytes, 4 KiB or 256 KiB of JSON with a unique `id`.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

/// The first id. All have the same number of digits.
pub const FIRST_ID: u64 = 1_000_000_000;

/// How large a payload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Size {
    /// About 110 bytes.
    Small,
    /// 4 KiB.
    Medium,
    /// 256 KiB.
    Large,
}

impl Size {
    fn bytes(self) -> usize {
        match self {
            Self::Small => 0,
            Self::Medium => 4 * 1024,
            Self::Large => 256 * 1024,
        }
    }

    /// As in the names of shapes.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Small => "",
            Self::Medium => "-4k",
            Self::Large => "-256k",
        }
    }
}

/// The next id, over all payloads of the process: one that a store knows would be a duplicate.
static NEXT: AtomicU64 = AtomicU64::new(FIRST_ID);

/// Makes payloads of one size, each with an id of its own.
#[derive(Debug)]
pub struct Payloads {
    tail: String,
}

impl Payloads {
    /// Payloads of this size.
    pub fn new(size: Size) -> Self {
        let mut tail = String::from(
            r#","name":"Ada Lovelace","email":"ada@example.com","amount":129.5,"tags":["b","a"]"#,
        );
        if size != Size::Small {
            tail.push_str(&lines(size.bytes().saturating_sub(tail.len())));
        }
        tail.push('}');
        Self { tail }
    }

    /// The next payload and its id.
    pub fn next(&self) -> (u64, Bytes) {
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        (id, Bytes::from(format!("{{\"id\":{id}{}", self.tail)))
    }
}

/// A list of order lines of about so many bytes.
fn lines(bytes: usize) -> String {
    let mut text = String::from(",\"lines\":[");
    let mut number = 0;
    while text.len() < bytes.saturating_sub(64) {
        let comma = if number == 0 { "" } else { "," };
        let quantity = number % 9 + 1;
        text.push_str(&format!(
            r#"{comma}{{"sku":"A-{number:05}","quantity":{quantity},"price":12.5}}"#
        ));
        number += 1;
    }
    text.push(']');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_are_json_of_their_size_with_an_id_each() {
        for (size, least, most) in
            [(Size::Small, 90, 120), (Size::Medium, 3_900, 4_200), (Size::Large, 260_000, 262_200)]
        {
            let payloads = Payloads::new(size);
            let (first, second) = (payloads.next(), payloads.next());
            assert_ne!(first.0, second.0);
            let value: serde_json::Value = serde_json::from_slice(&first.1).expect("JSON");
            assert_eq!(value["id"], first.0);
            assert!((least..=most).contains(&first.1.len()), "{}", first.1.len());
        }
    }
}
