//! Files as PyTorch's `torch.save` writes them, in both formats; libtorch's Rust binding does not write them.

use std::io::{Cursor, Write};
use tch::Tensor;

/// The format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Since PyTorch 1.6.
    Zip,
    /// Before.
    Row,
}

/// What begins a file of the old format: the magic number, the protocol, and what wrote it.
const HEAD: &[u8] = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\
    \x80\x02}(X\x10\0\0\0protocol_versionM\xe9\x03X\x0d\0\0\0little_endian\x88u.";

fn text(pickle: &mut Vec<u8>, text: &str) {
    pickle.push(b'X');
    pickle.extend((text.len() as u32).to_le_bytes());
    pickle.extend(text.as_bytes());
}

fn integer(pickle: &mut Vec<u8>, number: i64) {
    pickle.push(b'J');
    pickle.extend(i32::try_from(number).unwrap().to_le_bytes());
}

fn tensor(pickle: &mut Vec<u8>, key: &str, tensor: &Tensor, format: Format) {
    pickle.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
    text(pickle, "storage");
    pickle.extend(b"ctorch\nFloatStorage\n");
    text(pickle, key);
    text(pickle, "cuda:0");
    integer(pickle, tensor.numel() as i64);
    // There a storage says also whether it is a part of another.
    pickle.extend(if format == Format::Row { &b"NtQ"[..] } else { b"tQ" });
    integer(pickle, 0);
    for numbers in [tensor.size(), tensor.stride()] {
        pickle.push(b'(');
        numbers.into_iter().for_each(|number| integer(pickle, number));
        pickle.push(b't');
    }
    pickle.extend(b"\x89ccollections\nOrderedDict\n)RtR");
}

/// A file with these weights in fp32; under `key` of a checkpoint with an epoch and options where there is one.
pub fn file(weights: &[(String, Tensor)], key: Option<&str>, format: Format) -> Vec<u8> {
    let mut pickle = b"\x80\x02".to_vec();
    if let Some(key) = key {
        pickle.extend(b"}(");
        text(&mut pickle, "epoch");
        integer(&mut pickle, 7);
        text(&mut pickle, "args");
        pickle.extend(b"cargparse\nNamespace\n)\x81}(");
        text(&mut pickle, "lr");
        pickle.extend(b"G?\xb9\x99\x99\x99\x99\x99\x9aub");
        text(&mut pickle, key);
    }
    pickle.extend(b"ccollections\nOrderedDict\n)R(");
    let contiguous: Vec<(String, Tensor)> =
        weights.iter().map(|(name, value)| (name.clone(), value.detach().contiguous())).collect();
    for (index, (name, value)) in contiguous.iter().enumerate() {
        text(&mut pickle, name);
        tensor(&mut pickle, &index.to_string(), value, format);
    }
    pickle.extend(if key.is_some() { &b"uu."[..] } else { b"u." });
    let bytes = |value: &Tensor| {
        let mut bytes = vec![0; 4 * value.numel()];
        value.copy_data_u8(&mut bytes, value.numel());
        bytes
    };
    if format == Format::Zip {
        let options = zip::write::FileOptions::default().compression_method(zip::CompressionMethod::Stored);
        let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
        archive.start_file("archive/data.pkl", options).unwrap();
        archive.write_all(&pickle).unwrap();
        for (index, (_, value)) in contiguous.iter().enumerate() {
            archive.start_file(format!("archive/data/{index}"), options).unwrap();
            archive.write_all(&bytes(value)).unwrap();
        }
        archive.start_file("archive/version", options).unwrap();
        archive.write_all(b"3\n").unwrap();
        return archive.finish().unwrap().into_inner();
    }
    let mut content = [HEAD, &pickle, b"\x80\x02]("].concat();
    (0..contiguous.len()).for_each(|index| text(&mut content, &index.to_string()));
    content.extend(b"e.");
    for (_, value) in &contiguous {
        content.extend((value.numel() as u64).to_le_bytes());
        content.extend(bytes(value));
    }
    content
}

/// A file of a pickle alone, without storages.
pub fn of_pickle(pickle: &[u8], format: Format) -> Vec<u8> {
    if format == Format::Row {
        return [HEAD, pickle, b"\x80\x02]."].concat();
    }
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    archive.start_file("archive/data.pkl", zip::write::FileOptions::default()).unwrap();
    archive.write_all(pickle).unwrap();
    archive.finish().unwrap().into_inner()
}
