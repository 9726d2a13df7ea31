//! Where a row's bytes are written to.

use postcard::ser_flavors::Flavor;

/// Room for most rows: growing would cost more than writing.
const CAPACITY: usize = 128;

/// The bytes of a row, from its version on.
pub(super) struct RowBytes(Vec<u8>);

impl RowBytes {
    /// A row of that version, with nothing else in it.
    pub(super) fn of_version(version: u8) -> Self {
        let mut bytes = Vec::with_capacity(CAPACITY);
        bytes.push(version);
        Self(bytes)
    }
}

impl Flavor for RowBytes {
    type Output = Vec<u8>;

    #[inline]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    #[inline]
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    #[inline]
    fn finalize(self) -> postcard::Result<Vec<u8>> {
        Ok(self.0)
    }
}
