//! Texts that the executable brings along packed, because it seldom shows them: `build.rs` packs them.

use lz4_flex::block::{decompress_size_prepended, uncompressed_size};

/// A text as `build.rs` leaves it: LZ4's block format behind its size.
#[derive(Debug, Clone, Copy)]
pub struct Packed(&'static [u8]);

impl Packed {
    /// The text in what a file in `OUT_DIR` holds.
    pub const fn new(bytes: &'static [u8]) -> Self {
        Self(bytes)
    }

    /// Bytes of the text.
    pub fn size(self) -> usize {
        uncompressed_size(self.0).map_or(0, |(size, _)| size)
    }

    /// The text, made anew each time.
    pub fn unpack(self) -> String {
        // What the build has packed can be unpacked.
        let bytes = decompress_size_prepended(self.0).unwrap_or_default();
        String::from_utf8(bytes).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_comes_out_as_it_went_in() {
        let packed = Packed::new(include_bytes!(concat!(env!("OUT_DIR"), "/openapi.json")));
        let text = include_str!("api/openapi.json");
        assert_eq!(packed.unpack(), text);
        assert_eq!(packed.size(), text.len());
        assert!(packed.0.len() < text.len() / 3);
    }
}
