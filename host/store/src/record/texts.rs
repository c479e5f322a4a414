//! The texts of one write, gathered: those of up to [`INLINE_LIMIT_BYTES`] go into packs, longer JSON
//! goes into payloads, and the rows say where each is. What is there twice is stored once.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::ops::Range;

use tombolo_core::id::TenantId;
use tombolo_core::json::Json;

use super::pack::push;
use super::{Body, INLINE_LIMIT_BYTES, Pack, Payload};

/// A pack of so many bytes takes no further row.
const FULL_PACK_BYTES: usize = 1024 * 1024;

/// Text that is no JSON of a user's, as a call's record, goes into a pack up to so many bytes. What
/// is longer stands in its row.
const MAX_PACKED_BYTES: usize = 64 * 1024;

/// A column of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Text {
    /// It stands in the row.
    InRow(Box<str>),
    /// It stands in a pack.
    Packed {
        /// Which of the write's packs, counted from 0.
        pack: usize,
        /// Which of its texts.
        position: u32,
    },
}

impl Text {
    /// Which of the write's packs it is in, if it is.
    pub(crate) fn pack(&self) -> Option<usize> {
        match self {
            Self::Packed { pack, .. } => Some(*pack),
            Self::InRow(_) => None,
        }
    }

    /// Bytes that stand in the row.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::InRow(text) => text.len(),
            Self::Packed { .. } => 0,
        }
    }
}

/// How long a row has its texts. A pack stays as long as its run, so what is soon replaced stands in
/// the row: a step that begins again and again leaves nothing behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Lasts {
    /// As long as the row.
    #[default]
    Long,
    /// Until the row is written again.
    UntilReplaced,
}

/// Gathers the texts of one write.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    row: Lasts,
    full: Vec<Pack>,
    content: Vec<u8>,
    count: u32,
    /// The last text of each hash in the pack that is not full.
    known: HashMap<u64, (u32, Range<usize>)>,
    hasher: RandomState,
    payloads: Vec<Payload>,
}

/// What was gathered, ready for the writer.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    pub(crate) packs: Vec<Pack>,
    pub(crate) payloads: Vec<Payload>,
}

impl Texts {
    /// To be called before the texts of a row: a row names one pack only.
    pub(crate) fn begin_row(&mut self, lasts: Lasts) {
        self.row = lasts;
        if self.content.len() >= FULL_PACK_BYTES {
            self.close();
        }
    }

    /// Adds JSON of a user's.
    pub(crate) fn json(&mut self, tenant: TenantId, json: Option<&Json>) -> Body {
        match json {
            None => Body::default(),
            Some(json) if self.row == Lasts::Long && json.text().len() <= INLINE_LIMIT_BYTES => {
                Body { text: Some(self.pack(json.text())), hash: None }
            }
            Some(json) => Body::in_row(tenant, json, &mut self.payloads),
        }
    }

    /// Adds other text.
    pub(crate) fn text(&mut self, text: String) -> Text {
        let stays = self.row == Lasts::UntilReplaced || text.len() > MAX_PACKED_BYTES;
        if stays { Text::InRow(text.into()) } else { self.pack(&text) }
    }

    fn pack(&mut self, text: &str) -> Text {
        let pack = self.full.len();
        let hash = self.hasher.hash_one(text);
        if let Some((position, place)) = self.known.get(&hash)
            && self.content.get(place.clone()) == Some(text.as_bytes())
        {
            return Text::Packed { pack, position: *position };
        }
        let position = self.count;
        let place = push(&mut self.content, text);
        self.known.insert(hash, (position, place));
        self.count += 1;
        Text::Packed { pack, position }
    }

    fn close(&mut self) {
        self.known.clear();
        self.count = 0;
        self.full.push(Pack::new(std::mem::take(&mut self.content)));
    }

    /// Compresses what was gathered.
    pub(crate) fn finish(mut self) -> Gathered {
        if !self.content.is_empty() {
            self.close();
        }
        Gathered { packs: self.full, payloads: self.payloads }
    }
}

impl Gathered {
    /// Rows that it writes.
    pub(crate) fn rows(&self) -> usize {
        self.packs.len() + self.payloads.len()
    }

    /// Bytes that it writes.
    pub(crate) fn len(&self) -> usize {
        let packs: usize = self.packs.iter().map(|pack| pack.bytes.len()).sum();
        packs + self.payloads.iter().map(Payload::len).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Unpacked;

    const TENANT: TenantId = TenantId(uuid::Uuid::nil());

    fn read<'a>(packs: &'a [Unpacked], text: &Text) -> &'a str {
        match text {
            Text::Packed { pack, position } => packs[*pack].text((*position).into()).unwrap(),
            Text::InRow(text) => panic!("{} bytes stand in the row", text.len()),
        }
    }

    fn unpacked(gathered: &Gathered) -> Vec<Unpacked> {
        let unpack = |pack: &Pack| Unpacked::new(pack.encoding as i64, &pack.bytes).unwrap();
        gathered.packs.iter().map(unpack).collect()
    }

    #[test]
    fn the_same_text_is_stored_once() {
        let mut texts = Texts::default();
        let json = Json::from_value(serde_json::json!({ "id": 7 }));
        let first = texts.json(TENANT, Some(&json)).text.unwrap();
        texts.begin_row(Lasts::Long);
        let other = texts.text("other".to_owned());
        let again = texts.json(TENANT, Some(&json)).text.unwrap();
        assert_eq!(first, again);
        let gathered = texts.finish();
        let packs = unpacked(&gathered);
        assert_eq!(packs.len(), 1);
        assert_eq!(read(&packs, &again), json.text());
        assert_eq!(read(&packs, &other), "other");
        assert!(packs[0].text(2).is_err(), "there are two texts");
    }

    #[test]
    fn a_full_pack_takes_no_further_row_and_a_row_has_one_pack() {
        let mut texts = Texts::default();
        let text = |n: usize| {
            let mut text = n.to_string();
            text.push_str(&"x".repeat(MAX_PACKED_BYTES - text.len()));
            text
        };
        let mut rows = Vec::new();
        for n in 0..40 {
            texts.begin_row(Lasts::Long);
            rows.push([texts.text(text(2 * n)), texts.text(text(2 * n + 1))]);
        }
        let gathered = texts.finish();
        let packs = unpacked(&gathered);
        assert_eq!(packs.len(), 80 * MAX_PACKED_BYTES / FULL_PACK_BYTES);
        for (n, row) in rows.iter().enumerate() {
            assert_eq!(row[0].pack(), row[1].pack());
            assert_eq!(read(&packs, &row[0]), text(2 * n));
            assert_eq!(read(&packs, &row[1]), text(2 * n + 1));
        }
    }

    #[test]
    fn json_at_the_limit_is_packed_and_one_byte_more_is_a_payload() {
        let json = |bytes: usize| Json::from_trusted(format!("\"{}\"", "x".repeat(bytes - 2)));
        let mut texts = Texts::default();
        let short = texts.json(TENANT, Some(&json(INLINE_LIMIT_BYTES)));
        let long = texts.json(TENANT, Some(&json(INLINE_LIMIT_BYTES + 1)));
        assert!(short.hash.is_none() && long.text.is_none());
        let gathered = texts.finish();
        assert_eq!(long.hash, Some(gathered.payloads[0].hash));
        let packs = unpacked(&gathered);
        assert_eq!(read(&packs, &short.text.unwrap()).len(), INLINE_LIMIT_BYTES);
    }

    #[test]
    fn what_is_too_long_for_a_pack_stands_in_its_row() {
        let mut texts = Texts::default();
        let long = "x".repeat(MAX_PACKED_BYTES + 1);
        assert_eq!(texts.text(long.clone()), Text::InRow(long.into()));
        assert_eq!(texts.finish().rows(), 0);
        assert_eq!(Texts::default().json(TENANT, None).text, None);
    }
}
