//! Files that gzip packed, known by their first bytes, whatever they are called.

use std::io::Read;

use flate2::bufread::MultiGzDecoder;

use crate::error::{Error, Result};
use crate::reading::most_unpacked_text;

const MAGIC: &[u8] = b"\x1f\x8b";

/// The content of a file: as it is, or unpacked where it is packed. `place` names the file.
///
/// # Errors
/// A packed file that is cut or damaged, or that unpacks to more than its size allows.
pub(in crate::data) fn unpacked(bytes: Vec<u8>, place: &str) -> Result<Vec<u8>> {
    if !bytes.starts_with(MAGIC) {
        return Ok(bytes);
    }
    let most = most_unpacked_text(bytes.len() as u64);
    let mut content = Vec::new();
    MultiGzDecoder::new(&*bytes).take(most + 1).read_to_end(&mut content).map_err(|error| {
        Error::invalid(place, "a whole file of gzip", error.to_string()).with_hint("copy or download it again")
    })?;
    if content.len() as u64 <= most {
        return Ok(content);
    }
    let expected = format!("a file that unpacks to at most {} MiB, as its size allows", most >> 20);
    Err(Error::invalid(place, expected, "a larger one").with_hint("if it is meant so, unpack it by gunzip"))
}

#[cfg(test)]
pub(in crate::data) mod tests {
    use std::io::Write;

    use super::*;

    pub(in crate::data) fn packed(content: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn message(bytes: Vec<u8>) -> String {
        unpacked(bytes, "a.gz").unwrap_err().to_string()
    }

    #[test]
    fn packed_files_are_unpacked_in_all_their_parts_and_others_left_alone() {
        let two = [packed(b"one "), packed(b"two")].concat();
        assert_eq!(unpacked(two, "a.gz").unwrap(), b"one two");
        assert_eq!(unpacked(b"0,1".to_vec(), "a.gz").unwrap(), b"0,1");
    }

    #[test]
    fn cut_files_and_those_that_unpack_to_far_more_are_refused() {
        let whole = packed(&(0..=255).collect::<Vec<u8>>());
        assert!(message(whole[..whole.len() - 9].to_vec()).starts_with("a.gz: expected a whole file of gzip, found "));
        assert!(message(whole[..4].to_vec()).starts_with("a.gz: expected a whole file of gzip, found "));
        let bomb = packed(&vec![b'0'; 64 << 20]);
        assert!(message(bomb).contains("unpacks to at most"), "64 MiB in 64 KiB");
    }
}
