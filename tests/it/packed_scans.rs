//! Compressed scans (LAZ) through the program: the same clouds as uncompressed ones, and damaged files, which end no more
//! than the process that unpacks them.

use crate::cli::{run, run_json, sgas};
use crate::hostile::watch;
use laz::{LasZipCompressor, LazItemRecordBuilder, LazVlr, LazVlrBuilder};
use std::fs;
use std::io::Cursor;
use std::path::Path;
use std::process::Command;

/// Of each point format that is written here the bytes of a point, and where its colours begin.
const FORMATS: [(u8, usize, usize); 3] = [(2, 26, 20), (3, 34, 28), (7, 36, 30)];

const HEADER: usize = 375;
const POINTS: usize = 200;

/// The header and the points of a file in LAS 1.4.
fn scan(kind: u8, seed: u32) -> (Vec<u8>, Vec<u8>) {
    let (_, size, colours) = FORMATS.into_iter().find(|(found, ..)| *found == kind).unwrap();
    let mut header = vec![0; HEADER];
    header[..4].copy_from_slice(b"LASF");
    (header[24], header[25], header[104], header[105]) = (1, 4, kind, size as u8);
    header[94..96].copy_from_slice(&(HEADER as u16).to_le_bytes());
    header[96..100].copy_from_slice(&(HEADER as u32).to_le_bytes());
    header[247..255].copy_from_slice(&(POINTS as u64).to_le_bytes());
    for axis in 0..3 {
        header[131 + 8 * axis..][..8].copy_from_slice(&0.01_f64.to_le_bytes());
    }
    let mut state = seed;
    let mut drawn = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 16
    };
    let mut points = Vec::new();
    for _ in 0..POINTS {
        let mut point = vec![0; size];
        (0..3).for_each(|axis| point[4 * axis..][..4].copy_from_slice(&(drawn() as i32).to_le_bytes()));
        point[12..14].copy_from_slice(&(drawn() as u16).to_le_bytes());
        // The first of one return.
        point[14] = if kind < 6 { 9 } else { 17 };
        if kind == 3 {
            point[20..28].copy_from_slice(&f64::from(drawn()).to_le_bytes());
        }
        (0..3).for_each(|colour| point[colours + 2 * colour] = drawn() as u8);
        points.extend(point);
    }
    (header, points)
}

/// The same file compressed, in chunks of 50 points.
fn packed(kind: u8, seed: u32) -> Vec<u8> {
    let (mut file, points) = scan(kind, seed);
    let items = LazItemRecordBuilder::default_for_point_format_id(kind, 0).unwrap();
    let record = LazVlrBuilder::new(items).with_fixed_chunk_size(50).build();
    let mut content = Vec::new();
    record.write_to(&mut content).unwrap();
    let mut head = [0; 54];
    head[2..2 + LazVlr::USER_ID.len()].copy_from_slice(LazVlr::USER_ID.as_bytes());
    head[18..20].copy_from_slice(&LazVlr::RECORD_ID.to_le_bytes());
    head[20..22].copy_from_slice(&(content.len() as u16).to_le_bytes());
    file.extend(head.iter().chain(&content));
    let start = file.len();
    file[96..100].copy_from_slice(&(start as u32).to_le_bytes());
    file[100] = 1;
    file[104] |= 0x80;
    let mut writer = Cursor::new(file);
    writer.set_position(start as u64);
    let mut compressor = LasZipCompressor::new(&mut writer, record).unwrap();
    compressor.compress_many(&points).unwrap();
    compressor.done().unwrap();
    drop(compressor);
    writer.into_inner()
}

fn write(folder: &Path, name: &str, bytes: &[u8]) {
    for part in ["train", "test"] {
        let class = folder.join(part).join("a");
        fs::create_dir_all(&class).unwrap();
        fs::write(class.join(name), bytes).unwrap();
    }
}

#[test]
fn compressed_scans_are_the_clouds_that_uncompressed_ones_are() {
    let folder = tempfile::tempdir().unwrap();
    for (kind, ..) in FORMATS {
        write(&folder.path().join("las"), &format!("{kind}.las"), &{
            let (header, points) = scan(kind, kind.into());
            [header, points].concat()
        });
        write(&folder.path().join("laz"), &format!("{kind}.laz"), &packed(kind, kind.into()));
    }
    let info = |set: &str| run(folder.path(), &format!("data info {set} --json")).replace("laz", "las");
    assert_eq!(info("laz"), info("las"));
    assert_eq!(run_json(folder.path(), "data info laz --json")["points"]["min"], POINTS);
}

#[test]
fn a_damaged_scan_ends_nothing_and_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let set = folder.path().join("set");
    let class = set.join("train/a");
    write(&set, "good.laz", &packed(3, 1));
    let [old, layered] = [3, 7].map(|kind| packed(kind, 1));
    let start = |file: &[u8]| u32::from_le_bytes(file[96..100].try_into().unwrap()) as usize;
    let mut bad = Vec::new();
    for (name, file) in [("old", &old), ("layered", &layered)] {
        let start = start(file);
        // In the middle of the points, behind their first, and within the record before them.
        for cut in [start + (file.len() - start) / 2, start + 50, start - 10] {
            bad.push((format!("{name}-cut-{cut}.laz"), file[..cut].to_vec()));
        }
        // The table of chunks asks for 1 GiB, more than the limit on the memory of the process.
        let table = u64::from_le_bytes(file[start..start + 8].try_into().unwrap()) as usize;
        let mut lying = file.clone();
        lying[table + 4..table + 8].copy_from_slice(&(1_u32 << 26).to_le_bytes());
        bad.push((format!("{name}-lying.laz"), lying));
    }
    // The size of the first layer stands behind the offset of the table, the first point and the number of points.
    let mut lying = layered.clone();
    lying[start(&layered) + 8 + 36 + 4..][..4].fill(0xFF);
    bad.push(("layered-size.laz".to_owned(), lying));
    bad.iter().for_each(|(name, file)| fs::write(class.join(name), file).unwrap());
    // Flipped bytes may give other points, or none.
    for (number, at) in (0..12).map(|number| (number, start(&old) + 7 + 31 * number)) {
        let mut file = if number % 2 == 0 { old.clone() } else { layered.clone() };
        let at = at.min(file.len() - 1);
        file[at] ^= 0xFF;
        fs::write(class.join(format!("flipped-{number}.laz")), file).unwrap();
    }
    let mut command = Command::new(sgas(folder.path()).get_program());
    command.args(["data", "info", "set", "--json"]).current_dir(folder.path()).env("OMP_NUM_THREADS", "1");
    let (code, text) = watch(command, folder.path());
    assert!(code == 2 && !text.contains("panicked"), "{code}: {text}");
    for (name, _) in &bad {
        assert!(text.contains(name.as_str()), "{name} is no problem of: {text}");
    }
    assert!(text.contains("one that is damaged or truncated") && !text.contains("good.laz: "), "{text}");
    // What a run would do without the bad ones.
    let info: serde_json::Value = serde_json::from_str(text.split("error: ").next().unwrap()).unwrap();
    assert!(info["classes"][0]["bad"].as_u64().unwrap() >= bad.len() as u64, "{info}");
}
