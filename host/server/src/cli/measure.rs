//! Durations, sizes and times as people read them.

use tombolo_core::clock::Timestamp;

/// `312 ms`, `1.24 s`, `2 min 05 s`, `3 h 12 min`, `2 d 3 h`.
pub(super) fn duration(ms: u64) -> String {
    let seconds = ms / 1_000;
    let (minutes, hours) = (seconds / 60, seconds / 3_600);
    match seconds {
        0 => format!("{ms} ms"),
        1..60 => format!("{}.{:02} s", seconds, ms % 1_000 / 10),
        60..3_600 => format!("{minutes} min {:02} s", seconds % 60),
        3_600..86_400 => format!("{hours} h {:02} min", minutes % 60),
        _ => format!("{} d {} h", hours / 24, hours % 24),
    }
}

/// `512 B`, `84.3 KiB`, `1.2 MiB`.
pub(super) fn bytes(count: u64) -> String {
    const UNITS: [(&str, u32); 3] = [("GiB", 30), ("MiB", 20), ("KiB", 10)];
    for (unit, shift) in UNITS {
        if count >= 1 << shift {
            let tenths = (u128::from(count) * 10) >> shift;
            return format!("{}.{} {unit}", tenths / 10, tenths % 10);
        }
    }
    format!("{count} B")
}

/// `2026-11-22 05:10:03Z`, without the milliseconds.
pub(super) fn time(time: Timestamp) -> String {
    let text = time.to_string();
    match text.split_once('T') {
        Some((date, rest)) => format!("{date} {}Z", rest.get(..8).unwrap_or(rest)),
        None => text,
    }
}

/// `1 attempt`, `2 attempts`.
pub(super) fn count(number: usize, word: &str) -> String {
    if number == 1 { format!("1 {word}") } else { format!("{number} {word}s") }
}

#[cfg(test)]
mod tests {
    use super::{bytes, count, duration, time};
    use tombolo_core::clock::Timestamp;

    #[test]
    fn measures_read_naturally() {
        let durations = [0, 999, 1_000, 1_249, 59_999, 125_000, 3_600_000, 86_400_000 * 2 + 1];
        assert_eq!(
            durations.map(duration),
            [
                "0 ms",
                "999 ms",
                "1.00 s",
                "1.24 s",
                "59.99 s",
                "2 min 05 s",
                "1 h 00 min",
                "2 d 0 h"
            ]
        );
        assert_eq!(
            [0, 1_023, 1_024, 86_323, 1 << 20, 3 << 30].map(bytes),
            ["0 B", "1023 B", "1.0 KiB", "84.2 KiB", "1.0 MiB", "3.0 GiB"]
        );
        assert_eq!(time(Timestamp(1_678_886_400_123)), "2023-03-15 13:20:00Z");
        assert_eq!((count(1, "run"), count(2, "run")), ("1 run".to_owned(), "2 runs".to_owned()));
    }
}
