//! `tombolo:node/log`, standard output and standard error: one bounded sink per attempt.
//!
//! Never fails a guest for writing too much: what is over the bound is counted and dropped.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tombolo_core::ports::sandbox::LogLine;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use crate::bindings::tombolo::node::log;
use crate::guest::Guest;
use crate::settings::LogBounds;

/// How much a guest may write to a stream at once; bytes.
const STREAM_CHUNK: usize = 64 * 1024;

/// Where the lines of one attempt go. Shared with the streams of the instance.
#[derive(Debug, Clone)]
pub(crate) struct LogSink(Arc<Mutex<Buffer>>);

#[derive(Debug)]
struct Buffer {
    bounds: LogBounds,
    lines: Vec<LogLine>,
    bytes: usize,
    dropped: usize,
    /// The unfinished lines of standard output and standard error.
    partial: [Vec<u8>; 2],
}

/// One of the two standard streams.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stream {
    Out = 0,
    Err = 1,
}

impl Stream {
    fn level(self) -> &'static str {
        match self {
            Self::Out => "stdout",
            Self::Err => "stderr",
        }
    }
}

impl LogSink {
    pub(crate) fn new(bounds: LogBounds) -> Self {
        Self(Arc::new(Mutex::new(Buffer {
            bounds,
            lines: Vec::new(),
            bytes: 0,
            dropped: 0,
            partial: [Vec::new(), Vec::new()],
        })))
    }

    pub(crate) fn write(&self, level: &str, message: String) {
        self.with(|buffer| buffer.push(level, message));
    }

    /// Everything that was written since the last time.
    pub(crate) fn take(&self) -> Vec<LogLine> {
        self.with(Buffer::take)
    }

    fn with<T>(&self, f: impl FnOnce(&mut Buffer) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Buffer {
    fn push(&mut self, level: &str, mut message: String) {
        if self.lines.len() >= self.bounds.lines || self.bytes >= self.bounds.bytes {
            self.dropped += 1;
            return;
        }
        let room = self.bounds.line_bytes.min(self.bounds.bytes - self.bytes);
        if message.len() > room {
            message.truncate(message.floor_char_boundary(room));
            message.push('…');
        }
        self.bytes += message.len();
        self.lines.push(LogLine { level: level.to_owned(), message });
    }

    fn print(&mut self, stream: Stream, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let mut line = std::mem::take(&mut self.partial[stream as usize]);
            self.extend(&mut line, &rest[..end]);
            self.push(stream.level(), String::from_utf8_lossy(&line).into_owned());
            rest = &rest[end + 1..];
        }
        let mut line = std::mem::take(&mut self.partial[stream as usize]);
        self.extend(&mut line, rest);
        self.partial[stream as usize] = line;
    }

    /// One byte more than fits is kept, so that the line is seen to be cut.
    fn extend(&self, line: &mut Vec<u8>, bytes: &[u8]) {
        let room = (self.bounds.line_bytes + 1).saturating_sub(line.len());
        line.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn take(&mut self) -> Vec<LogLine> {
        for stream in [Stream::Out, Stream::Err] {
            let line = std::mem::take(&mut self.partial[stream as usize]);
            if !line.is_empty() {
                self.push(stream.level(), String::from_utf8_lossy(&line).into_owned());
            }
        }
        let mut lines = std::mem::take(&mut self.lines);
        if self.dropped > 0 {
            lines.push(LogLine {
                level: "warn".to_owned(),
                message: format!(
                    "{} more lines were dropped (limits log.lines = {}, log.bytes = {})",
                    self.dropped, self.bounds.lines, self.bounds.bytes
                ),
            });
        }
        self.bytes = 0;
        self.dropped = 0;
        lines
    }
}

impl log::Host for Guest {
    fn write(&mut self, level: log::Level, message: String) -> wasmtime::Result<()> {
        let level = match level {
            log::Level::Debug => "debug",
            log::Level::Info => "info",
            log::Level::Warn => "warn",
            log::Level::Error => "error",
        };
        self.logs.write(level, message);
        Ok(())
    }
}

/// Standard output or standard error of one instance.
pub(crate) struct LogStream {
    pub(crate) sink: LogSink,
    pub(crate) stream: Stream,
}

impl IsTerminal for LogStream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for LogStream {
    fn async_stream(&self) -> Box<dyn tokio::io::AsyncWrite + Send + Sync> {
        // Asked for by WASI 0.3 only, which is not linked.
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(Self { sink: self.sink.clone(), stream: self.stream })
    }
}

#[async_trait::async_trait]
impl Pollable for LogStream {
    async fn ready(&mut self) {}
}

impl OutputStream for LogStream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.sink.with(|buffer| buffer.print(self.stream, &bytes));
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(STREAM_CHUNK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sink(lines: usize, bytes: usize, line_bytes: usize) -> LogSink {
        LogSink::new(LogBounds { lines, bytes, line_bytes })
    }

    #[test]
    fn what_is_printed_becomes_lines_across_writes() {
        let sink = sink(10, 1000, 100);
        sink.with(|buffer| buffer.print(Stream::Out, b"one\ntw"));
        sink.with(|buffer| buffer.print(Stream::Err, b"oops\n"));
        sink.with(|buffer| buffer.print(Stream::Out, b"o\nrest"));
        let lines: Vec<_> = sink
            .take()
            .into_iter()
            .map(|line| format!("{}:{}", line.level, line.message))
            .collect();
        assert_eq!(lines, ["stdout:one", "stderr:oops", "stdout:two", "stdout:rest"]);
        assert!(sink.take().is_empty());
    }

    #[test]
    fn lines_over_the_bound_are_counted() {
        let sink = sink(2, 1000, 100);
        for n in 0..5 {
            sink.write("info", format!("line {n}"));
        }
        let lines = sink.take();
        assert_eq!(lines.len(), 3);
        assert!(lines[2].message.starts_with("3 more lines were dropped"), "{}", lines[2].message);
    }

    #[test]
    fn a_long_line_is_cut_between_characters() {
        let sink = sink(10, 1000, 5);
        sink.write("info", "ääää".to_owned());
        sink.with(|buffer| buffer.print(Stream::Out, "x".repeat(1_000_000).as_bytes()));
        let lines = sink.take();
        assert_eq!(lines[0].message, "ää…");
        assert_eq!(lines[1].message, "xxxxx…");
    }
}
