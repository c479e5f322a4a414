//! Server-sent events (WHATWG HTML, section 9.2), as far as our own server sends them: `event` and
//! `data`, in lines that end with a newline.

/// Largest event that is kept; a longer one is dropped. Bytes.
const MAX_EVENT_BYTES: usize = 16 * 1024 * 1024;

/// An event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Event {
    /// `snapshot`, `step`, `run`; `message` if none was named.
    pub(super) name: String,
    /// Its text.
    pub(super) data: String,
}

/// Cuts a stream of bytes into events.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    line: Vec<u8>,
    name: String,
    data: Vec<String>,
    size: usize,
}

impl Decoder {
    /// Takes bytes, wherever they were cut, and gives the events that are complete by now.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        for byte in bytes {
            self.size += 1;
            match byte {
                b'\n' => {
                    let line = std::mem::take(&mut self.line);
                    let line = String::from_utf8_lossy(&line);
                    events.extend(self.line(line.strip_suffix('\r').unwrap_or(&line)));
                }
                _ if self.size <= MAX_EVENT_BYTES => self.line.push(*byte),
                _ => {}
            }
        }
        events
    }

    fn line(&mut self, line: &str) -> Option<Event> {
        if line.is_empty() {
            return self.dispatch();
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => self.name = value.to_owned(),
            "data" => self.data.push(value.to_owned()),
            // A comment that keeps the connection open, an id, or something newer.
            _ => {}
        }
        None
    }

    fn dispatch(&mut self) -> Option<Event> {
        let fits = self.size <= MAX_EVENT_BYTES;
        self.size = 0;
        let (name, data) = (std::mem::take(&mut self.name), std::mem::take(&mut self.data));
        if data.is_empty() || !fits {
            return None;
        }
        let name = if name.is_empty() { "message".to_owned() } else { name };
        Some(Event { name, data: data.join("\n") })
    }
}

#[cfg(test)]
mod tests {
    use super::{Decoder, Event, MAX_EVENT_BYTES};

    const STREAM: &str = ": hello\n\nevent: step\ndata: {\"a\":\ndata: 1}\nid: 7\n\nevent:run\r\ndata:x\r\n\r\ndata: ü\n\n";

    fn expected() -> Vec<Event> {
        [("step", "{\"a\":\n1}"), ("run", "x"), ("message", "ü")]
            .map(|(name, data)| Event { name: name.into(), data: data.into() })
            .to_vec()
    }

    #[test]
    fn events_are_the_same_wherever_the_stream_is_cut() {
        for size in 1..STREAM.len() {
            let mut decoder = Decoder::default();
            let events: Vec<Event> =
                STREAM.as_bytes().chunks(size).flat_map(|chunk| decoder.feed(chunk)).collect();
            assert_eq!(events, expected(), "chunks of {size}");
        }
    }

    #[test]
    fn an_endless_event_is_dropped_and_the_next_one_is_read() {
        let mut decoder = Decoder::default();
        assert!(decoder.feed(b"data: ").is_empty());
        for _ in 0..=MAX_EVENT_BYTES / 65_536 {
            assert!(decoder.feed(&[b'x'; 65_536]).is_empty());
        }
        assert!(decoder.line.len() <= MAX_EVENT_BYTES);
        assert!(decoder.feed(b"\n\n").is_empty());
        assert_eq!(decoder.feed(b"event: run\ndata: 1\n\n").len(), 1);
    }
}
