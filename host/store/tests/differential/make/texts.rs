//! Texts and JSON of every kind.

use serde_json::{Value, json};
use tombolo_core::error::{ErrorClass, StepError};
use tombolo_core::json::Json;
use tombolo_core::ports::store::StepKey;
use tombolo_store::INLINE_LIMIT_BYTES;

use crate::dice::Dice;

pub const NODES: [&str; 6] = ["a", "b", "B", "map", "map-2", "käse"];
const CLASSES: [ErrorClass; 8] = [
    ErrorClass::InvalidInput,
    ErrorClass::Auth,
    ErrorClass::NotFound,
    ErrorClass::Conflict,
    ErrorClass::RateLimited,
    ErrorClass::Transient,
    ErrorClass::Permanent,
    ErrorClass::UnknownOutcome,
];

/// What somebody outside calls something: anything at all.
pub fn foreign(dice: &mut Dice) -> String {
    let number = dice.below(40);
    let digits = |dice: &mut Dice, count: usize| -> String {
        (0..count).map(|_| char::from(*dice.pick(b"0123456789abcdef"))).collect()
    };
    match dice.below(16) {
        0 => String::new(),
        1 => "\0".to_owned(),
        2 => format!("a\0{number}"),
        3 => format!("\u{2400}{number}"),
        4 => format!("sha256:{}", digits(dice, 64)),
        5 => format!("sha256:{}", digits(dice, 64).to_uppercase()),
        6 => format!("sha256:{}", digits(dice, 63)),
        7 => digits(dice, 32),
        8 => digits(dice, 32).to_uppercase(),
        9 => format!("{number:04}"),
        10 => format!("'; -- %_\\ {number}\n"),
        11 => format!("日本 ä\u{301} 🦀 \u{202e}{number}"),
        12 => "x".repeat(300 + number),
        13 => format!("{}", i64::MAX - number as i64),
        _ => format!("key-{number}"),
    }
}

/// A name of ours, whose order counts.
pub fn name(dice: &mut Dice, what: &str, count: usize) -> String {
    let number = dice.below(count);
    match number % 4 {
        0 => format!("{what}-{number}"),
        1 => format!("{}-{number}", what.to_uppercase()),
        2 => format!("{what}{number}"),
        _ => format!("{what}-ä{number}"),
    }
}

/// A sentence for people.
pub fn sentence(dice: &mut Dice) -> String {
    let number = dice.below(1_000);
    match dice.below(6) {
        0 => String::new(),
        1 => format!("\"{number}\" \\ \u{1} ä 🦀"),
        _ => format!("It broke at {number}."),
    }
}

pub fn json(dice: &mut Dice) -> Json {
    let number = dice.below(10_000);
    Json::from_value(match dice.below(14) {
        0 => Value::Null,
        1 => json!({ "null\0": "a\0b", "n": number }),
        2 => json!([1.5, -0.0, 1e300, u64::MAX, i64::MIN, number]),
        3 => return Json::from_trusted("{\"n\":  12345678901234567890123.50, \"a\": []}"),
        4 => json!({ "ä\u{1f980}": ["日本", "\u{7f}", "\u{fffd}", "\u{10ffff}"], "n": number }),
        // Of few kinds, so that the same is stored more than once.
        5 => json!("long ".repeat(INLINE_LIMIT_BYTES / 5 + 1 + dice.below(3))),
        6 => long(dice),
        7 => json!("y".repeat(INLINE_LIMIT_BYTES - 3 + dice.below(3))),
        _ => json!({ "number": number, "text": "as usual" }),
    })
}

/// A long text that does not get much shorter.
fn long(dice: &mut Dice) -> Value {
    let words = INLINE_LIMIT_BYTES / 16 + dice.below(200);
    let text: String = (0..words).map(|_| format!("{:016x}", dice.next())).collect();
    json!({ "long": text })
}

pub fn step_key(dice: &mut Dice) -> StepKey {
    let item = if dice.percent(60) { 0 } else { dice.below(3) as u32 };
    StepKey { node: (*dice.pick(&NODES)).to_owned(), item }
}

pub fn error(dice: &mut Dice) -> StepError {
    let class = *dice.pick(&CLASSES);
    let code = *dice.pick(&["broken", "not-found", "token-expired"]);
    let mut error = StepError::new(class, code, sentence(dice));
    error.retry_after_ms = dice.maybe(20, |dice| dice.below(10_000) as u64);
    error.details = dice.maybe(30, |dice| json!({ "at\0": dice.below(9), "b": null }));
    error
}

pub fn class(dice: &mut Dice) -> ErrorClass {
    *dice.pick(&CLASSES)
}

pub fn hash(dice: &mut Dice) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.chunks_mut(8).for_each(|chunk| chunk.copy_from_slice(&dice.next().to_le_bytes()));
    hash
}
