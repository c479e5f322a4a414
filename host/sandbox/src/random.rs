//! `wasi:random`: seeded for those who compute, real for those who call out.
//!
//! The seeded stream is SHA-256 over seed and counter: it has to be the same after an update of
//! the host, so no generator of a library.

use rand::RngCore;
use sha2::{Digest, Sha256};
use wasmtime::component::HasData;
use wasmtime_wasi::p2::bindings::random::{insecure, insecure_seed, random};

/// Where a guest's randomness comes from.
#[derive(Debug)]
pub(crate) struct Random {
    source: Source,
    limit_bytes: u64,
}

#[derive(Debug)]
enum Source {
    Seeded { seed: [u8; 32], counter: u64 },
    Real,
}

/// A guest asked for too much at once. Ends the attempt.
#[derive(Debug, thiserror::Error)]
#[error("{wanted} random bytes were asked for at once (limit call.random_bytes = {limit})")]
pub(crate) struct TooMuchRandom {
    wanted: u64,
    limit: u64,
}

impl Random {
    /// The same for the same key: every attempt of a step draws the same numbers.
    pub(crate) fn seeded(key: &str, limit_bytes: u64) -> Self {
        let seed = Sha256::new_with_prefix(b"tombolo random 1\0").chain_update(key).finalize();
        Self { source: Source::Seeded { seed: seed.into(), counter: 0 }, limit_bytes }
    }

    pub(crate) fn real(limit_bytes: u64) -> Self {
        Self { source: Source::Real, limit_bytes }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "what a connector asks for is the machine's randomness"
    )]
    fn fill(&mut self, buffer: &mut [u8]) {
        match &mut self.source {
            Source::Real => rand::rng().fill_bytes(buffer),
            Source::Seeded { seed, counter } => {
                for chunk in buffer.chunks_mut(32) {
                    let block = Sha256::new_with_prefix(*seed)
                        .chain_update(counter.to_le_bytes())
                        .finalize();
                    *counter += 1;
                    chunk.copy_from_slice(&block[..chunk.len()]);
                }
            }
        }
    }

    fn bytes(&mut self, wanted: u64) -> wasmtime::Result<Vec<u8>> {
        let too_much = TooMuchRandom { wanted, limit: self.limit_bytes };
        let length =
            usize::try_from(wanted).ok().filter(|_| wanted <= self.limit_bytes).ok_or(too_much)?;
        let mut bytes = vec![0; length];
        self.fill(&mut bytes);
        Ok(bytes)
    }

    fn number(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }
}

/// The marker for the linker.
pub(crate) struct Randomness;

impl HasData for Randomness {
    type Data<'a> = &'a mut Random;
}

impl random::Host for Random {
    fn get_random_bytes(&mut self, length: u64) -> wasmtime::Result<Vec<u8>> {
        self.bytes(length)
    }

    fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        Ok(self.number())
    }
}

impl insecure::Host for Random {
    fn get_insecure_random_bytes(&mut self, length: u64) -> wasmtime::Result<Vec<u8>> {
        self.bytes(length)
    }

    fn get_insecure_random_u64(&mut self) -> wasmtime::Result<u64> {
        Ok(self.number())
    }
}

impl insecure_seed::Host for Random {
    fn insecure_seed(&mut self) -> wasmtime::Result<(u64, u64)> {
        Ok((self.number(), self.number()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_key_gives_the_same_numbers_and_another_key_others() {
        let draw = |key| Random::seeded(key, 100).bytes(70).unwrap();
        assert_eq!(draw("a"), draw("a"));
        assert_ne!(draw("a"), draw("b"));
        let mut random = Random::seeded("a", 100);
        assert_ne!(random.number(), random.number());
    }

    #[test]
    fn the_stream_is_the_same_in_every_version_of_the_host() {
        assert_eq!(hex::encode(Random::seeded("key", 100).bytes(8).unwrap()), "2ca93875a3c89d84");
    }

    #[test]
    fn too_much_at_once_is_refused() {
        let error = Random::real(10).bytes(11).unwrap_err();
        assert!(error.is::<TooMuchRandom>(), "{error}");
        assert!(Random::real(10).bytes(u64::MAX).is_err());
    }
}
