//! Rows of `payload`: what is too long for its row, by its hash, compressed where that helps.
//!
//! Compressed by the caller, before the write waits. zstd at its lowest ordinary level, because
//! JSON of ours becomes a sixth at about 500 MB a second (lz4: a third, at twice the speed).

use std::borrow::Cow;

use tombolo_core::id::{ContentHash, TenantId};

use super::Damaged;

/// Most bytes that are compressed, and most that reading gives for what was compressed. What is
/// longer is stored as it is.
const MAX_COMPRESSED_BYTES: usize = 64 * 1024 * 1024;

const LEVEL: i32 = 1;

/// A row of `payload`.
#[derive(Debug, Clone)]
pub(crate) struct Payload {
    pub(crate) tenant: TenantId,
    /// Of what was given, not of what is stored.
    pub(crate) hash: ContentHash,
    pub(crate) encoding: Encoding,
    pub(crate) bytes: Vec<u8>,
}

/// How the bytes of a payload are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// As they are.
    Plain = 0,
    /// Compressed by zstd, in one frame that says how long the content is.
    Zstd = 1,
}

impl Payload {
    /// Makes the row of `bytes` that have this hash.
    pub(crate) fn new(tenant: TenantId, hash: ContentHash, bytes: &[u8]) -> Self {
        match compressed(bytes) {
            Some(bytes) => Self { tenant, hash, encoding: Encoding::Zstd, bytes },
            None => Self { tenant, hash, encoding: Encoding::Plain, bytes: bytes.to_vec() },
        }
    }

    /// Bytes that are stored.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }
}

/// The bytes compressed, unless that gains less than a tenth.
fn compressed(bytes: &[u8]) -> Option<Vec<u8>> {
    if bytes.len() > MAX_COMPRESSED_BYTES {
        return None;
    }
    let compressed = zstd::bulk::compress(bytes, LEVEL).ok()?;
    (compressed.len() < bytes.len() - bytes.len() / 10).then_some(compressed)
}

/// The bytes of a payload, from its two columns.
pub(crate) fn unpack(stored: &[u8], encoding: i64) -> Result<Cow<'_, [u8]>, Damaged> {
    if encoding == Encoding::Plain as i64 {
        return Ok(Cow::Borrowed(stored));
    }
    if encoding != Encoding::Zstd as i64 {
        return Err(Damaged(format!("a payload is written in an unknown way ({encoding})")));
    }
    let size = zstd::zstd_safe::get_frame_content_size(stored).ok().flatten();
    let size = size.and_then(|size| usize::try_from(size).ok());
    let size = size.filter(|size| *size <= MAX_COMPRESSED_BYTES).ok_or_else(|| {
        Damaged(format!("a payload does not say a size of up to {MAX_COMPRESSED_BYTES} bytes"))
    })?;
    zstd::bulk::decompress(stored, size)
        .map(Cow::Owned)
        .map_err(|error| Damaged(format!("a payload cannot be decompressed: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(bytes: &[u8]) -> Payload {
        Payload::new(TenantId(uuid::Uuid::nil()), ContentHash::of(bytes), bytes)
    }

    /// Bytes that nothing makes shorter.
    fn noise(count: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        for n in 0_u64.. {
            if bytes.len() >= count {
                break;
            }
            bytes.extend(ContentHash::of(&n.to_be_bytes()).0);
        }
        bytes
    }

    #[test]
    fn what_gains_is_compressed_and_what_does_not_stays_as_it_is() {
        let text = "{\"name\":\"a name that stands here often\"}".repeat(400).into_bytes();
        let noise = noise(20_000);
        let (short, long) = (row(&text), row(&noise));
        assert_eq!((short.encoding, long.encoding), (Encoding::Zstd, Encoding::Plain));
        assert!(short.len() * 10 < text.len(), "{}", short.len());
        assert_eq!(long.bytes, noise);
        for (row, bytes) in [(short, text), (long, noise)] {
            assert_eq!(unpack(&row.bytes, row.encoding as i64).unwrap(), bytes);
            assert_eq!(row.hash, ContentHash::of(&bytes), "of what was given");
        }
    }

    #[test]
    fn what_is_longer_than_the_bound_is_stored_as_it_is_and_reads_back() {
        let zeros = vec![0; MAX_COMPRESSED_BYTES + 1];
        let row = row(&zeros);
        assert_eq!(row.encoding, Encoding::Plain);
        assert_eq!(unpack(&row.bytes, 0).unwrap(), zeros);
        assert_eq!(compressed(&zeros[1..]).map(|short| short.len() < 10_000), Some(true));
    }

    #[test]
    fn a_bomb_a_torn_frame_and_an_unknown_encoding_are_damage() {
        let bomb = zstd::bulk::compress(&vec![0; MAX_COMPRESSED_BYTES + 1], LEVEL).unwrap();
        let text = row(&b"again and again ".repeat(1000)).bytes;
        let torn = &text[..text.len() / 2];
        for (stored, encoding) in [(&bomb[..], 1), (torn, 1), (b"no frame", 1), (&[], 1), (b"x", 2)]
        {
            assert!(unpack(stored, encoding).is_err(), "{encoding}: {} bytes", stored.len());
        }
    }

    #[test]
    fn a_frame_that_lies_about_its_size_is_damage() {
        let mut frame = row(&b"again and again ".repeat(1000)).bytes;
        // RFC 8878, 3.1.1: magic number, descriptor, then the content's size in two bytes, less 256.
        assert_eq!(
            (frame[4] >> 6, frame[5..7].to_vec()),
            (1, (16_000_u16 - 256).to_le_bytes().to_vec())
        );
        frame[6] = 0;
        assert!(unpack(&frame, 1).is_err());
    }
}
