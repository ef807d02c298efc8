//! Colours of clouds: the same cloud in every format and type of numbers is the same input to a network.

use std::io::{Cursor, Write};
use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;
use sgas::batch::{Batch, PointBatch};
use sgas::data::{
    Access, ColorRange, DataConfig, InputNeeds, Normalization, PointOrder, Source, find,
    points::{FAMILY, POINTS},
};
use sgas::error::Result;
use sgas::tensor::random::{Key, Purpose};
use tch::{Device, Tensor};

use crate::data::{NEEDS, load_set, write};

/// Position, and red, green and blue of 8 bits.
type Point = ([f32; 3], [u8; 3]);

/// Extension and content of a file.
type File = (&'static str, Vec<u8>);

/// How a colour is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Number {
    Byte,
    Word,
    /// From 0 to 1, in 32 or 64 bits.
    Unit(usize),
    /// From 0 to 255, in 32 or 64 bits.
    Float(usize),
    /// From 0 to 255, in 32 or 64 bits.
    Integer(usize),
}

use Number::{Byte, Float, Integer, Unit, Word};

const NUMBERS: [Number; 8] = [Byte, Word, Unit(4), Unit(8), Float(4), Float(8), Integer(4), Integer(8)];

impl Number {
    fn value(self, colour: u8) -> f64 {
        match self {
            Byte | Float(_) | Integer(_) => colour.into(),
            Word => f64::from(colour) * 257.0,
            Unit(_) => f64::from(colour) / 255.0,
        }
    }

    fn bytes(self, colour: u8) -> Vec<u8> {
        let value = self.value(colour);
        match self {
            Byte => vec![colour],
            Word => (value as u16).to_le_bytes().to_vec(),
            Unit(4) | Float(4) => (value as f32).to_le_bytes().to_vec(),
            Unit(_) | Float(_) => value.to_le_bytes().to_vec(),
            Integer(4) => (value as i32).to_le_bytes().to_vec(),
            Integer(_) => (value as i64).to_le_bytes().to_vec(),
        }
    }

    /// Kind as NumPy has it, and size.
    fn kind(self) -> (char, usize) {
        match self {
            Byte => ('u', 1),
            Word => ('u', 2),
            Unit(size) | Float(size) => ('f', size),
            Integer(size) => ('i', size),
        }
    }

    fn ply(self) -> &'static str {
        match self.kind() {
            ('u', 1) => "uchar",
            ('u', _) => "ushort",
            ('f', 4) => "float",
            ('f', _) => "double",
            (_, 4) => "int",
            _ => "int64",
        }
    }
}

fn rows(cloud: &[Point], number: Number, separator: &str) -> String {
    let row = |([x, y, z], colour): &Point| {
        let colour = colour.map(|colour| number.value(colour).to_string());
        [vec![x.to_string(), y.to_string(), z.to_string()], colour.to_vec()].concat().join(separator) + "\n"
    };
    cloud.iter().map(row).collect()
}

fn binary(cloud: &[Point], number: Number) -> Vec<u8> {
    let row = |(position, colour): &Point| {
        let position = position.iter().flat_map(|value| value.to_le_bytes());
        position.chain(colour.iter().flat_map(|colour| number.bytes(*colour))).collect::<Vec<u8>>()
    };
    cloud.iter().flat_map(row).collect()
}

fn ply(cloud: &[Point], number: Number, format: &str) -> Vec<u8> {
    let axes = ["x", "y", "z"].map(|axis| format!("property float {axis}\n")).concat();
    let colours = ["red", "green", "blue"].map(|colour| format!("property {} {colour}\n", number.ply())).concat();
    format!("ply\nformat {format} 1.0\nelement vertex {}\n{axes}{colours}end_header\n", cloud.len()).into_bytes()
}

fn pcd(cloud: &[Point], number: Number, data: &str) -> Vec<u8> {
    let ((kind, size), count) = (number.kind(), cloud.len());
    let kind = kind.to_ascii_uppercase();
    format!(
        "VERSION 0.7\nFIELDS x y z r g b\nSIZE 4 4 4 {size} {size} {size}\nTYPE F F F {kind} {kind} {kind}\n\
         WIDTH {count}\nHEIGHT 1\nPOINTS {count}\nDATA {data}\n"
    )
    .into_bytes()
}

fn npy(descr: &str, shape: &str, data: Vec<u8>) -> Vec<u8> {
    let header = format!("{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n");
    let length = (header.len() as u16).to_le_bytes();
    [b"\x93NUMPY\x01\x00", length.as_slice(), header.as_bytes(), &data].concat()
}

fn npz(arrays: [(&str, Vec<u8>); 2]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in arrays {
        archive.start_file(name, zip::write::FileOptions::default()).unwrap();
        archive.write_all(&bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

/// The cloud in all formats and types of numbers.
fn files(cloud: &[Point]) -> Vec<File> {
    let count = cloud.len();
    let packed = |(position, [red, green, blue]): &Point| {
        let position = position.iter().flat_map(|value| value.to_le_bytes());
        position.chain([*blue, *green, *red, 0]).collect::<Vec<u8>>()
    };
    let packed_header = |kind: char| {
        format!(
            "VERSION 0.7\nFIELDS x y z rgb\nSIZE 4 4 4 4\nTYPE F F F {kind}\nWIDTH {count}\nHEIGHT 1\nPOINTS {count}\nDATA binary\n"
        )
    };
    let mut files: Vec<File> = ['F', 'U', 'I']
        .map(|kind| ("pcd", [packed_header(kind).into_bytes(), cloud.iter().flat_map(packed).collect()].concat()))
        .into();
    for number in NUMBERS {
        let (kind, size) = number.kind();
        let field = |name: &str| format!("('{name}', '<{kind}{size}')");
        let fields = ["r", "g", "b"].map(field).join(", ");
        let structured = format!("[('x', '<f4'), ('y', '<f4'), ('z', '<f4'), {fields}]");
        let positions = cloud.iter().flat_map(|(position, _)| position.map(f32::to_le_bytes).concat()).collect();
        let colours = cloud.iter().flat_map(|(_, colour)| colour.map(|colour| number.bytes(colour)).concat()).collect();
        files.extend([
            ("ply", [ply(cloud, number, "ascii"), rows(cloud, number, " ").into_bytes()].concat()),
            ("ply", [ply(cloud, number, "binary_little_endian"), binary(cloud, number)].concat()),
            ("pcd", [pcd(cloud, number, "ascii"), rows(cloud, number, " ").into_bytes()].concat()),
            ("pcd", [pcd(cloud, number, "binary"), binary(cloud, number)].concat()),
            ("npy", npy(&structured, &format!("({count},)"), binary(cloud, number))),
            (
                "npz",
                npz([
                    ("points.npy", npy("'<f4'", &format!("({count}, 3)"), positions)),
                    ("colors.npy", npy(&format!("'<{kind}{size}'"), &format!("({count}, 3)"), colours)),
                ]),
            ),
        ]);
    }
    // A text has no types: 65535 would be the range of all its colours.
    for number in [Unit(8), Float(8)] {
        files.extend([
            ("csv", format!("x,y,z,Red,Green,Blue\n{}", rows(cloud, number, ",")).into_bytes()),
            ("csv", format!("x [m];y [m];z [m];R;G;B\n{}", rows(cloud, number, ";").replace('.', ",")).into_bytes()),
            ("txt", format!("//X Y Z R G B\n{}", rows(cloud, number, " ")).into_bytes()),
            (
                "xyz",
                format!(
                    "# x y z diffuse_red diffuse_green diffuse_blue\r{}",
                    rows(cloud, number, "\t").replace('\n', "\r")
                )
                .into_bytes(),
            ),
            ("off", format!("COFF\n{count} 0 0\n{}", rows(cloud, number, " ")).into_bytes()),
            ("obj", rows(cloud, number, " ").lines().map(|row| format!("v {row}\n")).collect::<String>().into_bytes()),
        ]);
    }
    files
}

fn config() -> DataConfig {
    DataConfig { points: 8, features: vec!["colors".into()], order: PointOrder::First, ..DataConfig::default() }
}

/// The set of these files, each for training and for testing.
fn set(folder: &Path, files: &[File]) -> Source {
    for (part, name) in [("train", "a"), ("test", "b")] {
        for (number, (extension, bytes)) in files.iter().enumerate() {
            write(folder.join(format!("cloud/{part}/{name}{number}.{extension}")), bytes);
        }
    }
    find(&POINTS, folder.to_str()).unwrap()
}

/// The points of the first training cloud, and what the range came to.
fn loaded(files: &[File], mut config: DataConfig) -> Result<(Vec<Tensor>, ColorRange)> {
    let folder = tempfile::tempdir().unwrap();
    let data = load_set(&POINTS, &set(folder.path(), files), &mut config, &NEEDS)?;
    let access = Access { key: Key::new(0, Purpose::Evaluation), training: false };
    let clouds = (0..files.len()).map(|index| match data.train.batch(&[index], access)? {
        Batch::Points(PointBatch { points, .. }) => Ok(points),
        _ => unreachable!("points"),
    });
    Ok((clouds.collect::<Result<_>>()?, config.color_range))
}

fn cloud() -> impl Strategy<Value = Vec<Point>> {
    // Exact in few decimal digits, so that a text says the same as 32 bits.
    let coordinate = (-64..64_i16).prop_map(|value| f32::from(value) / 16.0);
    let point = (prop::array::uniform3(coordinate), any::<[u8; 3]>());
    vec(point, 8).prop_map(|mut cloud| {
        // A set of colours up to 1 alone is one of the range 0 to 1.
        cloud[0].1[0] = cloud[0].1[0].max(2);
        cloud
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn the_same_cloud_in_every_format_and_type_is_the_same_batch(cloud in cloud()) {
        let files = files(&cloud);
        let expected = loaded(&files[..1], config()).unwrap().0.remove(0);
        for file in &files {
            let (clouds, range) = loaded(std::slice::from_ref(file), config()).unwrap();
            prop_assert_eq!(&clouds[0], &expected, "{} {:?}, {}", file.0, range, String::from_utf8_lossy(&file.1[..60]));
        }
    }
}

/// As when files of several programs lie in one folder: shares beside numbers up to 255, whatever their types.
#[test]
fn the_same_cloud_in_every_format_and_type_is_the_same_in_one_set() {
    let cloud: Vec<Point> = (0..8_u8).map(|point| (([f32::from(point), 1.0, 0.5]), [30 * point, 200, 7])).collect();
    let files = files(&cloud);
    let (clouds, range) = loaded(&files, config()).unwrap();
    assert_eq!(range, ColorRange::Byte);
    for (cloud, file) in clouds.iter().zip(&files) {
        assert_eq!(cloud, &clouds[0], "{}, {}", file.0, String::from_utf8_lossy(&file.1[..60]));
    }
    let folder = tempfile::tempdir().unwrap();
    let paths: Vec<_> =
        files.iter().enumerate().map(|(at, file)| folder.path().join(format!("{at}.{}", file.0))).collect();
    paths.iter().zip(&files).for_each(|(path, file)| write(path, &file.1));
    let needs = InputNeeds { minimum_points: 1, draws: 1, device: Device::Cpu, skip_bad: false };
    for known in [ColorRange::Unit, ColorRange::Byte] {
        let known = DataConfig { color_range: known, normalize: Normalization::Cube, ..config() };
        for (at, path) in paths.iter().enumerate() {
            let inputs = FAMILY.family.read_inputs(std::slice::from_ref(path), &known, needs).unwrap();
            let access = Access { key: Key::new(0, Purpose::Evaluation), training: false };
            let Batch::Points(PointBatch { points, .. }) = inputs.samples.batch(&[0], access).unwrap() else {
                unreachable!()
            };
            assert_eq!(points, clouds[0], "{at}, {}, in a run of {:?}", files[at].0, known.color_range);
        }
    }
}

fn grey(colour: u8) -> Vec<Point> {
    (0..8).map(|point| ([point as f32, (point * point) as f32, 1.0], [colour; 3])).collect()
}

fn red(cloud: &Tensor) -> f64 {
    cloud.double_value(&[0, 3, 3])
}

#[test]
fn a_dark_cloud_is_as_dark_beside_bright_ones_and_in_a_run_that_knows_the_range() {
    let text = |colour: u8| ("csv", format!("x,y,z,r,g,b\n{}", rows(&grey(colour), Float(8), ",")).into_bytes());
    let (clouds, range) = loaded(&[text(1), text(255)], config()).unwrap();
    assert_eq!((red(&clouds[0]) as f32, red(&clouds[1]), range), (1.0 / 255.0, 1.0, ColorRange::Byte));
    let known = DataConfig { color_range: range, ..config() };
    let (clouds, range) = loaded(&[text(1)], known.clone()).unwrap();
    assert_eq!((red(&clouds[0]) as f32, range), (1.0 / 255.0, ColorRange::Byte));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dark.csv");
    write(&path, &text(1).1);
    let needs = InputNeeds { minimum_points: 1, draws: 1, device: Device::Cpu, skip_bad: false };
    let inputs = FAMILY.family.read_inputs(&[path], &known, needs).unwrap();
    let access = Access { key: Key::new(0, Purpose::Evaluation), training: false };
    let Batch::Points(PointBatch { points, .. }) = inputs.samples.batch(&[0], access).unwrap() else { unreachable!() };
    assert_eq!(red(&points) as f32, 1.0 / 255.0);
}

#[test]
fn integers_up_to_1_alone_are_dark_and_shares_up_to_1_are_not() {
    let table = |number| ("csv", format!("x,y,z,r,g,b\n{}", rows(&grey(1), number, ",")).into_bytes());
    let found = |file| red(&loaded(&[file], config()).unwrap().0[0]) as f32;
    assert_eq!(found(table(Integer(4))), 1.0 / 255.0);
    let shares = String::from_utf8(table(Integer(4)).1).unwrap().replace(",1,1,1\n", ",1.0,1.0,1.0\n");
    assert_eq!(found(("csv", shares.into_bytes())), 1.0);
    let array = ("ply", [ply(&grey(1), Integer(4), "binary_little_endian"), binary(&grey(1), Integer(4))].concat());
    assert_eq!(found(array), 1.0 / 255.0);
}

#[test]
fn a_run_keeps_the_range_that_it_decided_and_none_where_types_say_it() {
    let files = files(&grey(200));
    let range = |file: &File, config| loaded(std::slice::from_ref(file), config).unwrap().1;
    let uchar = files.iter().find(|(_, bytes)| bytes.windows(5).any(|word| word == b"uchar")).unwrap();
    assert_eq!(range(uchar, config()), ColorRange::Auto);
    let table = files.iter().rfind(|(extension, _)| *extension == "csv").unwrap();
    assert_eq!(range(table, config()), ColorRange::Byte);
    assert_eq!(
        range(table, DataConfig { features: Vec::new(), ..config() }),
        ColorRange::Auto,
        "nobody asks for colours"
    );
    let text = toml::to_string(&DataConfig { color_range: ColorRange::Byte, ..config() }).unwrap();
    assert!(text.contains("color_range = 255"), "{text}");
    assert!(!toml::to_string(&config()).unwrap().contains("color_range"), "runs of before say the same");
}
