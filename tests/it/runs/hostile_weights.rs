//! Files of weights that are meant to do harm: every command that takes one refuses it, and leaves nothing.

use super::failure;
use crate::cli::sgas;
use crate::pytorch::{Format, of_pickle};
use std::path::Path;

/// A pickle's text.
fn text(text: &str) -> Vec<u8> {
    [b"X".as_slice(), &u32::try_from(text.len()).unwrap().to_le_bytes(), text.as_bytes()].concat()
}

/// Pickles, and what is told of each.
fn hostile() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let call = |name: &str, argument: &str| {
        [b"\x80\x02c".as_slice(), name.replace('.', "\n").as_bytes(), b"\n", &text(argument), b"\x85R."].concat()
    };
    let tensor = |elements: &[u8]| {
        let storage = [&b"(X\x07\0\0\0storagectorch\nFloatStorage\n"[..], &text("0"), &text("cpu"), elements, b"tQ"];
        let begun = [&b"\x80\x02}("[..], &text("a"), b"ctorch._utils\n_rebuild_tensor_v2\n("].concat();
        [begun, storage.concat(), b"K\0".to_vec(), elements.to_vec(), b"\x85K\x01\x85\x89}tRu.".to_vec()].concat()
    };
    let mut bomb = [&b"\x80\x02"[..], &text("text"), b"q\0"].concat();
    for level in 0..30_u8 {
        bomb.extend([&b"("[..], &[b'h', level].repeat(10), &[b'l', b'q', level + 1]].concat());
    }
    bomb.push(b'.');
    let deep = [&b"\x80\x02"[..], &b"(".repeat(100_000), &b"t".repeat(100_000), b"."].concat();
    vec![
        ("a call", call("posix.system", "touch evil"), "a use of posix.system"),
        ("another call", call("builtins.eval", "open('evil', 'w')"), "a use of builtins.eval"),
        ("a module of one's own", call("evil.run", ""), "a use of evil.run"),
        ("a list in itself", b"\x80\x02]q\0h\0a.".to_vec(), "nested at most"),
        ("deep lists", deep, "nested at most"),
        ("references to references", bomb, "unfold to at most"),
        // 2^31 - 1 elements, and 2^62, of a storage that is not there.
        ("a huge tensor", tensor(b"J\xff\xff\xff\x7f"), "storage"),
        ("a tensor beyond all memory", tensor(b"\x8a\x08\0\0\0\0\0\0\0\x40"), ""),
        ("an integer without end", [&b"\x80\x02\x8b"[..], &u32::MAX.to_le_bytes(), b"1."].concat(), ""),
    ]
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn every_command_refuses_hostile_weights_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("evil.py"), "open('evil', 'w')\ndef run(*_): open('evil', 'w')\n").unwrap();
    std::fs::write(folder.path().join("a.xyz"), "0 0 0\n1 0 0\n").unwrap();
    let network = "--genotype Cri2_ModelNet_Best --task points";
    let commands = [
        format!("import w.pt --output w.safetensors {network}"),
        format!("eval --weights w.pt --data synthetic {network}"),
        format!("predict --weights w.pt --input a.xyz --output p.json {network}"),
        format!("train --init w.pt --data synthetic --out run --device cpu {network}"),
    ];
    for (kind, pickle, told) in hostile() {
        for format in [Format::Zip, Format::Row] {
            std::fs::write(folder.path().join("w.pt"), of_pickle(&pickle, format)).unwrap();
            let before = names(folder.path());
            for command in &commands {
                let text = failure(sgas(folder.path()).args(command.split_whitespace()), 2);
                assert!(text.contains("w.pt") && text.contains(told), "{kind}, {format:?}, {command}: {text}");
            }
            assert_eq!(names(folder.path()), before, "{kind}, {format:?}");
        }
    }
}
