//! Digests: equal content in equal order gives equal ones, and other content others.

use std::io::Read;

/// Takes in what something is made of (BLAKE3). Every part is told with its length, so that no two contents are one.
#[derive(Default)]
pub struct Fingerprint(blake3::Hasher);

impl Fingerprint {
    /// Takes in bytes.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    /// Takes in plain numbers, by their bits.
    pub fn numbers<T: bytemuck::NoUninit>(&mut self, numbers: &[T]) {
        self.bytes(bytemuck::cast_slice(numbers));
    }

    /// Takes in all that can be read, whose length was told before.
    ///
    /// # Errors
    /// The reader's.
    pub fn content(&mut self, reader: impl Read) -> std::io::Result<()> {
        self.0.update_reader(reader).map(drop)
    }

    /// 64 hexadecimal digits.
    pub fn digest(&self) -> String {
        self.0.finalize().to_hex().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(parts: &[&[u8]]) -> String {
        let mut fingerprint = Fingerprint::default();
        parts.iter().for_each(|part| fingerprint.bytes(part));
        fingerprint.digest()
    }

    #[test]
    fn the_same_bytes_in_other_parts_are_another_content() {
        assert_eq!(digest(&[b"ab", b"c"]), digest(&[b"ab", b"c"]));
        assert_ne!(digest(&[b"ab", b"c"]), digest(&[b"a", b"bc"]));
        assert_eq!(digest(&[]).len(), 64);
    }
}
