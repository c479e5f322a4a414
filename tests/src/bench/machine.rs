//! The machine that the figures were taken on.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// How long the disk is tried.
const FLUSHING: Duration = Duration::from_millis(500);

/// What is appended before each flush.
const FLUSHED: [u8; 16 * 1024] = [0; 16 * 1024];

/// What it is, and how busy others keep it.
pub fn describe(work: &Path) -> Value {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let (cpu, memory) = (read("/proc/cpuinfo"), read("/proc/meminfo"));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kib: u64 = value(&memory, "MemTotal")
        .split(' ')
        .next()
        .and_then(|number| number.parse().ok())
        .unwrap_or(0);
    json!({
        "cores": cores,
        "cpu": value(&cpu, "model name"),
        "memory_gib": (kib as f64 / 1024.0 / 1024.0).round(),
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
        "load_average": load_average(),
        "flushes_per_second": flushes(work).map(f64::round).unwrap_or_default(),
    })
}

/// Processes that wanted a core in the last minute, ours included.
pub fn load_average() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let first = text.split(' ').next().unwrap_or_default();
    first.parse().unwrap_or_default()
}

/// What the disk can do: 16 KiB appended and flushed, over and over.
fn flushes(work: &Path) -> std::io::Result<f64> {
    let path = work.join("flushes");
    let mut file = File::create(&path)?;
    let start = Instant::now();
    let mut count = 0;
    while start.elapsed() < FLUSHING {
        file.write_all(&FLUSHED)?;
        file.sync_data()?;
        count += 1;
    }
    let per_second = f64::from(count) / start.elapsed().as_secs_f64();
    fs::remove_file(path)?;
    Ok(per_second)
}

/// What stands behind the first `name:`.
fn value<'t>(text: &'t str, name: &str) -> &'t str {
    let line = text.lines().find(|line| line.starts_with(name));
    let value = line.and_then(|line| line.split_once(':'));
    value.map_or("", |(_, value)| value.trim())
}
