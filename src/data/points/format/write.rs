//! Writers of shapes, each the counterpart of a reader: what is written is read back the same, bit for bit.

use std::fmt::Write as _;
use std::io::Cursor;
use std::path::Path;

use pcd_rs::{DataKind, DynRecord, DynWriter, Field, Schema, ValueKind, WriterInit};

use super::Raw;
use crate::data::numpy::header;
use crate::error::{Error, Result};

const AXES: [&str; 3] = ["x", "y", "z"];
const NORMALS: [&str; 3] = ["nx", "ny", "nz"];
const COLOURS: [&str; 3] = ["red", "green", "blue"];

/// The bytes of a file at `path`, in the format that its extension names.
///
/// # Errors
/// An extension that is not written, and a shape that the format can't hold.
pub(super) fn bytes(path: &Path, raw: &Raw) -> Result<Vec<u8>> {
    let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    let points = raw.points();
    assert!(raw.columns.iter().all(|column| column.1.len() == points), "every column has one value per point");
    let refuse = |what: &str| Err(Error::usage(format!("cannot write {}: {what}", path.display())));
    let holds_triangles = matches!(extension.as_str(), "off" | "obj" | "ply");
    if !raw.triangles.is_empty() && !holds_triangles {
        return refuse(&format!("a .{extension} file holds no triangles; .off, .obj and .ply do"));
    }
    if let Some((name, _)) = raw.columns.iter().find(|(name, _)| !can_name(&extension, name)) {
        return refuse(&format!("a .{extension} file can't hold a column named {name:?}"));
    }
    match extension.as_str() {
        "off" => Mesh::new(raw).map_or_else(|| refuse(MESH_COLUMNS), |mesh| Ok(mesh.off().into_bytes())),
        "obj" => Mesh::new(raw).map_or_else(|| refuse(MESH_COLUMNS), |mesh| Ok(mesh.obj().into_bytes())),
        "ply" => Ok(ply(raw, points)),
        "pcd" => pcd(raw, points).map_err(|error| Error::usage(format!("cannot write {}: {error}", path.display()))),
        "npy" => Ok(npy(raw, points)),
        "xyz" => Ok(table(raw, points, " ")),
        "csv" => Ok(csv(raw, points)),
        _ => refuse("shapes are written as .off, .obj, .ply, .pcd, .npy, .xyz and .csv"),
    }
}

/// Whether the format's header can spell a column's name.
fn can_name(extension: &str, name: &str) -> bool {
    let is_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
    match extension {
        "ply" => name.starts_with(|letter: char| letter.is_ascii_alphabetic()) && name.chars().all(is_word),
        "pcd" if ["rgb", "rgba", "_"].contains(&name) => false,
        "pcd" | "csv" => !name.is_empty() && name.chars().all(is_word),
        _ => true,
    }
}

const MESH_COLUMNS: &str = "vertices of this format have x, y, z, and perhaps nx, ny, nz and red, green, blue";

/// The columns that OFF and OBJ know.
struct Mesh<'a> {
    raw: &'a Raw,
    axes: [&'a [f64]; 3],
    normals: Option<[&'a [f64]; 3]>,
    colours: Option<[&'a [f64]; 3]>,
}

impl<'a> Mesh<'a> {
    /// Nothing where there are other columns, or not these.
    fn new(raw: &'a Raw) -> Option<Self> {
        let find = |[one, two, three]: [&str; 3]| Some([raw.column(one)?, raw.column(two)?, raw.column(three)?]);
        let (axes, normals, colours) = (find(AXES)?, find(NORMALS), find(COLOURS));
        let known = 3 + 3 * usize::from(normals.is_some()) + 3 * usize::from(colours.is_some());
        (known == raw.columns.len()).then_some(Self { raw, axes, normals, colours })
    }

    fn off(&self) -> String {
        let header = format!(
            "{}{}OFF\n{} {} 0\n",
            if self.colours.is_some() { "C" } else { "" },
            if self.normals.is_some() { "N" } else { "" },
            self.axes[0].len(),
            self.raw.triangles.len()
        );
        let mut text = header;
        for vertex in 0..self.axes[0].len() {
            let parts = [Some(&self.axes), self.normals.as_ref(), self.colours.as_ref()];
            push_line(&mut text, "", parts.into_iter().flatten().flatten().map(|column| column[vertex]));
        }
        for [one, two, three] in &self.raw.triangles {
            writeln!(text, "3 {one} {two} {three}").expect("a String takes everything");
        }
        text
    }

    fn obj(&self) -> String {
        let mut text = String::new();
        for vertex in 0..self.axes[0].len() {
            let parts = [Some(&self.axes), self.colours.as_ref()];
            push_line(&mut text, "v ", parts.into_iter().flatten().flatten().map(|column| column[vertex]));
            if let Some(normals) = &self.normals {
                push_line(&mut text, "vn ", normals.iter().map(|column| column[vertex]));
            }
        }
        for triangle in &self.raw.triangles {
            let [one, two, three] = triangle.map(|corner| corner + 1);
            match self.normals {
                Some(_) => writeln!(text, "f {one}//{one} {two}//{two} {three}//{three}"),
                None => writeln!(text, "f {one} {two} {three}"),
            }
            .expect("a String takes everything");
        }
        text
    }
}

/// Numbers in the fewest digits that read back the same.
fn push_line(text: &mut String, start: &str, values: impl Iterator<Item = f64>) {
    text.push_str(start);
    for (index, value) in values.enumerate() {
        let blank = if index == 0 { "" } else { " " };
        write!(text, "{blank}{value:?}").expect("a String takes everything");
    }
    text.push('\n');
}

/// Whether a column is as good in 32 bits.
fn is_single(values: &[f64]) -> bool {
    values.iter().all(|value| value.is_nan() || f64::from(*value as f32) == *value)
}

fn ply(raw: &Raw, points: usize) -> Vec<u8> {
    let mut header = format!("ply\nformat binary_little_endian 1.0\nelement vertex {points}\n");
    let singles: Vec<bool> = raw.columns.iter().map(|column| is_single(&column.1)).collect();
    for ((name, _), single) in raw.columns.iter().zip(&singles) {
        let kind = if *single { "float" } else { "double" };
        writeln!(header, "property {kind} {name}").expect("a String takes everything");
    }
    let triangles = raw.triangles.len();
    if triangles > 0 {
        write!(header, "element face {triangles}\nproperty list uchar uint vertex_indices\n")
            .expect("a String takes everything");
    }
    header.push_str("end_header\n");
    let mut bytes = header.into_bytes();
    for point in 0..points {
        for ((_, values), single) in raw.columns.iter().zip(&singles) {
            push_float(&mut bytes, values[point], *single);
        }
    }
    for triangle in &raw.triangles {
        bytes.push(3);
        bytes.extend(triangle.iter().flat_map(|corner| (*corner as u32).to_le_bytes()));
    }
    bytes
}

fn push_float(bytes: &mut Vec<u8>, value: f64, single: bool) {
    if single {
        bytes.extend((value as f32).to_le_bytes());
    } else {
        bytes.extend(value.to_le_bytes());
    }
}

fn pcd(raw: &Raw, points: usize) -> pcd_rs::Result<Vec<u8>> {
    let singles: Vec<bool> = raw.columns.iter().map(|column| is_single(&column.1)).collect();
    let kind = |single: &bool| if *single { ValueKind::F32 } else { ValueKind::F64 };
    let fields = raw.columns.iter().zip(&singles);
    let schema: Schema = fields.clone().map(|((name, _), single)| (name.as_str(), kind(single), 1)).collect();
    let settings = WriterInit {
        width: points as u64,
        height: 1,
        viewpoint: pcd_rs::ViewPoint::default(),
        data_kind: DataKind::BinaryCompressed,
        schema: Some(schema),
        version: None,
    };
    let mut bytes = Vec::new();
    let mut writer: DynWriter<_> = settings.build_from_writer(Cursor::new(&mut bytes))?;
    for point in 0..points {
        let field = |((_, values), single): (&(String, Vec<f64>), &bool)| {
            if *single { Field::F32(vec![values[point] as f32]) } else { Field::F64(vec![values[point]]) }
        };
        // The writer panics when it is dropped unfinished.
        writer.push(&DynRecord(fields.clone().map(field).collect())).expect("the record has the schema's fields");
    }
    writer.finish()?;
    Ok(bytes)
}

/// A plain array of shape (points, columns), version 1.0 of the format: the names of the columns are lost.
fn npy(raw: &Raw, points: usize) -> Vec<u8> {
    let single = raw.columns.iter().all(|column| is_single(&column.1));
    let kind = if single { "<f4" } else { "<f8" };
    let mut bytes = header::write(kind, [points, raw.columns.len()]);
    for point in 0..points {
        raw.columns.iter().for_each(|column| push_float(&mut bytes, column.1[point], single));
    }
    bytes
}

fn table(raw: &Raw, points: usize, separator: &str) -> Vec<u8> {
    let mut text = String::new();
    for point in 0..points {
        let values: Vec<String> = raw.columns.iter().map(|column| format!("{:?}", column.1[point])).collect();
        text.push_str(&values.join(separator));
        text.push('\n');
    }
    text.into_bytes()
}

fn csv(raw: &Raw, points: usize) -> Vec<u8> {
    let names: Vec<&str> = raw.columns.iter().map(|column| column.0.as_str()).collect();
    let mut bytes = format!("{}\n", names.join(",")).into_bytes();
    bytes.extend(table(raw, points, ","));
    bytes
}
