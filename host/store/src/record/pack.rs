//! Rows of `pack`: the texts of one write, each with its length before it, compressed together by
//! zstd at its lowest ordinary level with a dictionary of ours.
//!
//! Compressed by the caller, before the write waits. What is short has little to repeat, so the
//! dictionary is what makes it shorter: names and frames of our events, steps and calls. It is part
//! of the format and never changes; another one gets a number of its own.

use std::borrow::Cow;
use std::cell::RefCell;
use std::ops::Range;
use std::sync::LazyLock;

use zstd::bulk::{Compressor, Decompressor};
use zstd::dict::{DecoderDictionary, EncoderDictionary};

use super::Damaged;

/// Most bytes that reading gives for one pack. Writing stays far below.
const MAX_PACK_BYTES: usize = 4 * 1024 * 1024;

const LEVEL: i32 = 1;

const DICTIONARY: &[u8] = include_bytes!("../../dictionary/1.zdict");

static ENCODER: LazyLock<EncoderDictionary<'static>> =
    LazyLock::new(|| EncoderDictionary::copy(DICTIONARY, LEVEL));

static DECODER: LazyLock<DecoderDictionary<'static>> =
    LazyLock::new(|| DecoderDictionary::copy(DICTIONARY));

thread_local! {
    // To make one costs more than to use it.
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> =
        RefCell::new(Compressor::with_prepared_dictionary(&ENCODER).ok());
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> =
        RefCell::new(Decompressor::with_prepared_dictionary(&DECODER).ok());
}

/// A row of `pack`, without its number.
#[derive(Debug, Clone)]
pub(crate) struct Pack {
    pub(crate) encoding: PackEncoding,
    pub(crate) bytes: Vec<u8>,
}

/// How the bytes of a pack are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PackEncoding {
    /// As they are.
    Plain = 0,
    /// Compressed by zstd with `dictionary/1.zdict`, in one frame that says how long the content is.
    Dictionary1 = 1,
}

impl Pack {
    /// Makes the row of texts that [`push`] has put together.
    pub(super) fn new(content: Vec<u8>) -> Self {
        match compressed(&content) {
            Some(bytes) => Self { encoding: PackEncoding::Dictionary1, bytes },
            None => Self { encoding: PackEncoding::Plain, bytes: content },
        }
    }
}

/// Adds a text behind the others, and gives where it stands. Its length comes before it in base 128,
/// the lowest digit first, the highest bit set in all digits but the last.
pub(super) fn push(content: &mut Vec<u8>, text: &str) -> Range<usize> {
    let mut rest = text.len();
    while rest >= 0x80 {
        content.push(0x80 | (rest & 0x7f) as u8);
        rest >>= 7;
    }
    content.push(rest as u8);
    let start = content.len();
    content.extend_from_slice(text.as_bytes());
    start..content.len()
}

/// None where it makes nothing shorter.
fn compressed(content: &[u8]) -> Option<Vec<u8>> {
    let compressed = COMPRESSOR.with_borrow_mut(|compressor| {
        compressor.as_mut().and_then(|compressor| compressor.compress(content).ok())
    });
    // The room that was made for the worst case is not kept while the write waits.
    compressed.filter(|bytes| bytes.len() < content.len()).map(|mut bytes| {
        bytes.shrink_to_fit();
        bytes
    })
}

/// The texts of a pack.
#[derive(Debug, Clone)]
pub(crate) struct Unpacked {
    content: Vec<u8>,
    places: Vec<Range<usize>>,
}

impl Unpacked {
    /// Reads a pack, from its two columns.
    pub(crate) fn new(encoding: i64, stored: &[u8]) -> Result<Self, Damaged> {
        let content = content(encoding, stored)?.into_owned();
        let mut places = Vec::new();
        let mut at = 0;
        while at < content.len() {
            let place = place(&content, at)
                .ok_or_else(|| Damaged(format!("a pack is torn at text {}", places.len())))?;
            at = place.end;
            places.push(place);
        }
        Ok(Self { content, places })
    }

    /// The text at a position, counted from 0.
    pub(crate) fn text(&self, position: i64) -> Result<&str, Damaged> {
        let place = usize::try_from(position).ok().and_then(|position| self.places.get(position));
        let bytes = place.and_then(|place| self.content.get(place.clone())).ok_or_else(|| {
            Damaged(format!("a pack has {} texts, and none at {position}", self.places.len()))
        })?;
        std::str::from_utf8(bytes).map_err(|error| Damaged(format!("a packed text: {error}")))
    }
}

fn content(encoding: i64, stored: &[u8]) -> Result<Cow<'_, [u8]>, Damaged> {
    if encoding == PackEncoding::Plain as i64 {
        return Ok(Cow::Borrowed(stored));
    }
    if encoding != PackEncoding::Dictionary1 as i64 {
        return Err(Damaged(format!("a pack is written in an unknown way ({encoding})")));
    }
    let size = zstd::zstd_safe::get_frame_content_size(stored).ok().flatten();
    let size = size.and_then(|size| usize::try_from(size).ok());
    let size = size.filter(|size| *size <= MAX_PACK_BYTES).ok_or_else(|| {
        Damaged(format!("a pack does not say a size of up to {MAX_PACK_BYTES} bytes"))
    })?;
    DECOMPRESSOR
        .with_borrow_mut(|decompressor| {
            let decompressor =
                decompressor.as_mut().ok_or_else(|| "there is no memory for it".to_owned())?;
            decompressor.decompress(stored, size).map_err(|error| error.to_string())
        })
        .map(Cow::Owned)
        .map_err(|error| Damaged(format!("a pack cannot be decompressed: {error}")))
}

/// Where the text stands whose length is at `at`; None if it is not all there.
fn place(content: &[u8], mut at: usize) -> Option<Range<usize>> {
    // More digits than a length of `MAX_PACK_BYTES` has.
    const DIGITS: u32 = 5;
    let mut length = 0_usize;
    for digit in 0..DIGITS {
        let byte = *content.get(at)?;
        at += 1;
        length |= usize::from(byte & 0x7f) << (7 * digit);
        if byte < 0x80 {
            let end = at.checked_add(length).filter(|end| *end <= content.len())?;
            return Some(at..end);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tombolo_core::id::ContentHash;

    use super::*;

    fn pack(texts: &[String]) -> Pack {
        let mut content = Vec::new();
        for text in texts {
            push(&mut content, text);
        }
        Pack::new(content)
    }

    fn read(pack: &Pack) -> Unpacked {
        Unpacked::new(pack.encoding as i64, &pack.bytes).unwrap()
    }

    proptest! {
        #[test]
        fn every_text_comes_back(texts in prop::collection::vec(".{0,300}", 0..20)) {
            let unpacked = read(&pack(&texts));
            for (text, position) in texts.iter().zip(0..) {
                prop_assert_eq!(unpacked.text(position).unwrap(), text);
            }
            prop_assert!(unpacked.text(texts.len() as i64).is_err());
            prop_assert!(unpacked.text(-1).is_err());
        }

        #[test]
        fn what_is_no_pack_is_damage_or_texts(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            for encoding in 0..3 {
                if let Ok(unpacked) = Unpacked::new(encoding, &bytes) {
                    prop_assert!(encoding < 2);
                    prop_assert!(unpacked.content.len() <= MAX_PACK_BYTES);
                }
            }
        }
    }

    #[test]
    fn lengths_of_every_size_come_back() {
        for length in [0, 1, 127, 128, 16_383, 16_384, 2_097_152] {
            let texts = ["x".repeat(length), "end".to_owned()];
            let unpacked = read(&pack(&texts));
            assert_eq!(unpacked.text(0).unwrap().len(), length);
            assert_eq!(unpacked.text(1).unwrap(), "end");
        }
    }

    #[test]
    fn the_dictionary_makes_a_short_record_a_third() {
        let record = r#"{"sequence":0,"method":"GET","url":"https://api.hubapi.com/crm/v3/objects/deals/7","request_headers":[["accept","application/json"],["user-agent","tombolo/0.1.0"]],"request_hash":"99401509a557fe453fee134743081afceb865d22a6ce2cef6b6c97b33658b798","status":200,"response_headers":[["content-type","application/json"]],"response_body":"{\"id\":\"7\"}","started_at":"2026-11-27T00:19:54.975Z","duration_ms":111}"#;
        let pack = pack(&[record.to_owned()]);
        assert_eq!(pack.encoding, PackEncoding::Dictionary1);
        assert!(pack.bytes.len() * 3 < record.len(), "{} of {}", pack.bytes.len(), record.len());
    }

    #[test]
    fn the_format_stays_as_it_is() {
        let hash = ContentHash::of(DICTIONARY).to_string();
        assert_eq!(hash, "b0467ccead3a431e3e90218ad595ba06e17b081037afbc7f89f111ac9c4a1759");
        let stored = [
            0x28, 0xb5, 0x2f, 0xfd, 0x21, 0x01, 0x28, 0xcd, 0x00, 0x00, 0x50, 0x22, 0x2f, 0x37,
            0x22, 0x7d, 0x04, 0x6e, 0x75, 0x6c, 0x6c, 0x04, 0xfc, 0x90, 0x61, 0x44, 0x60, 0xe6,
            0xc4, 0x2a, 0xda, 0x9b, 0x32, 0xb3, 0x10,
        ];
        let unpacked = Unpacked::new(1, &stored).unwrap();
        assert_eq!(unpacked.text(0).unwrap(), r#"{"method":"GET","path":"/deals/7"}"#);
        assert_eq!(unpacked.text(1).unwrap(), "null");
    }

    #[test]
    fn a_bomb_a_torn_frame_and_an_unknown_encoding_are_damage() {
        let mut compressor = Compressor::with_prepared_dictionary(&ENCODER).unwrap();
        let bomb = compressor.compress(&vec![0; MAX_PACK_BYTES + 1]).unwrap();
        assert!(bomb.len() < 1_000);
        let whole = pack(&["again and again ".repeat(100)]).bytes;
        let torn = &whole[..whole.len() / 2];
        let foreign = zstd::bulk::compress(b"in another dictionary", LEVEL).unwrap();
        let wrong: [(i64, &[u8]); 6] =
            [(1, &bomb), (1, torn), (1, b"no frame"), (1, &[]), (0, b"\x05four"), (2, &whole)];
        for (encoding, stored) in wrong {
            assert!(Unpacked::new(encoding, stored).is_err(), "{encoding}: {} bytes", stored.len());
        }
        assert!(Unpacked::new(1, &foreign).is_err(), "text is no list of texts");
        assert!(Unpacked::new(0, &[0xff; 9]).is_err(), "a length without an end");
    }

    #[test]
    fn a_frame_that_lies_about_its_size_is_damage() {
        let mut frame = pack(&["again and again ".repeat(100)]).bytes;
        // RFC 8878, 3.1.1: magic number, descriptor, one byte of the dictionary's number, then the
        // content's size in two bytes, less 256. Here 1,602.
        let size = (1_602_u16 - 256).to_le_bytes();
        assert_eq!((frame[4] >> 6, frame[4] & 3, &frame[6..8]), (1, 1, &size[..]));
        frame[7] = 1;
        assert!(Unpacked::new(1, &frame).is_err());
    }
}
