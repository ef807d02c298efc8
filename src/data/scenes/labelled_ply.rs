//! Clouds with a class for every point, written as PLY: positions, a colour per class to look at, and the class.
//!
//! Comments in the header name the classes: `comment class 0 ceiling 0 255 0`, with the colour.

use super::s3dis::CLASSES;

/// Red, green and blue.
pub type Colour = [u8; 3];

/// The usual colours of S3DIS's classes.
const S3DIS: [Colour; CLASSES.len()] = [
    [0, 255, 0],
    [0, 0, 255],
    [0, 255, 255],
    [255, 255, 0],
    [255, 0, 255],
    [100, 100, 255],
    [200, 200, 100],
    [170, 120, 200],
    [255, 0, 0],
    [200, 100, 100],
    [10, 200, 100],
    [200, 200, 200],
    [50, 50, 50],
];

/// Turns between the hues of neighbouring classes: the golden section spreads any number of them evenly.
const TURN: f64 = 0.618_033_988_749_895;

/// A clear colour for every class, the usual one where the names are S3DIS's.
pub fn palette(classes: &[String]) -> Vec<Colour> {
    if classes.len() == CLASSES.len() && classes.iter().zip(CLASSES).all(|(class, known)| class.ends_with(known)) {
        return S3DIS.to_vec();
    }
    // Later rounds of hues are paler, then darker.
    let strengths = [(0.85, 0.95), (0.45, 0.95), (0.85, 0.6)];
    let colour = |class: usize| {
        let (saturation, value) = strengths[class / 8 % strengths.len()];
        from_hue((class as f64 * TURN).fract(), saturation, value)
    };
    (0..classes.len()).map(colour).collect()
}

/// From hue, saturation and value, each from 0 to 1.
fn from_hue(hue: f64, saturation: f64, value: f64) -> Colour {
    [5.0, 3.0, 1.0].map(|shift| {
        let distance = (shift + hue * 6.0) % 6.0;
        let share = distance.min(4.0 - distance).clamp(0.0, 1.0);
        ((value - value * saturation * share) * 255.0).round() as u8
    })
}

/// What stands for no class: the label of points without one, unless `data.scenes.unlabelled` says otherwise.
const NONE: i16 = -1;

/// Points and their classes, each the position of its name, as binary little-endian PLY; points without a class are black,
/// and their label is -1. Coordinates are stored in 32 bits where that loses nothing.
pub fn bytes(positions: &[[f64; 3]], classes: &[Option<usize>], names: &[String]) -> Vec<u8> {
    let colours = palette(names);
    let is_single = positions.iter().flatten().all(|value| value.is_nan() || f64::from(*value as f32) == *value);
    let label = if classes.contains(&None) { "short" } else { "ushort" };
    let position = if is_single { "float" } else { "double" };
    let mut bytes = header(positions.len(), [position, label], names, &colours).into_bytes();
    for (position, class) in positions.iter().zip(classes) {
        for value in position {
            if is_single {
                bytes.extend((*value as f32).to_le_bytes());
            } else {
                bytes.extend(value.to_le_bytes());
            }
        }
        bytes.extend(class.map_or([0; 3], |class| colours[class]));
        bytes.extend(class.map_or(NONE.to_le_bytes(), |class| (class as u16).to_le_bytes()));
    }
    bytes
}

fn header(points: usize, [kind, label]: [&str; 2], names: &[String], colours: &[Colour]) -> String {
    let mut text = String::from("ply\nformat binary_little_endian 1.0\ncomment labels by sgas\n");
    for (class, (name, [red, green, blue])) in names.iter().zip(colours).enumerate() {
        // A line's end would end the comment.
        let name = name.replace(['\n', '\r'], " ");
        text += &format!("comment class {class} {name} {red} {green} {blue}\n");
    }
    text += &format!("element vertex {points}\n");
    for (property, kind) in
        [("x", kind), ("y", kind), ("z", kind), ("red", "uchar"), ("green", "uchar"), ("blue", "uchar")]
    {
        text += &format!("property {kind} {property}\n");
    }
    text + &format!("property {label} label\nend_header\n")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::data::points::format;

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|class| format!("class {class}")).collect()
    }

    #[test]
    fn classes_colours_and_positions_are_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.ply");
        for far in [0.0, 4_000_000.1] {
            let positions = [[far, 0.5, -1.0], [0.25, 2.0, 3.0], [1.0, 1.0, 1.0]];
            std::fs::write(&path, bytes(&positions, &[2, 0, 299].map(Some), &names(300))).unwrap();
            let raw = format::read(&path).unwrap();
            let column = |wanted: &str| raw.column(wanted).unwrap();
            assert_eq!(column("label"), [2.0, 0.0, 299.0]);
            assert_eq!(column("x"), [far, 0.25, 1.0], "not one digit is lost");
            let red = f64::from(palette(&names(300))[2][0]) / 255.0;
            assert!((column("red")[0] - red).abs() < 1e-9);
            let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
            assert!(text.contains("comment class 2 class 2 "), "{text}");
        }
    }

    #[test]
    fn a_point_without_a_class_keeps_its_row() {
        let positions = [[0.5; 3], [f64::NAN, 1.0, f64::INFINITY], [1.0; 3]];
        let bytes = bytes(&positions, &[Some(1), None, Some(0)], &names(2));
        let raw = format::Format::Ply.parse(&bytes, "a.ply").unwrap();
        let column = |wanted: &str| raw.column(wanted).unwrap();
        assert_eq!((column("label"), column("red")[1]), (&[1.0, -1.0, 0.0][..], 0.0));
        assert!(column("x")[1].is_nan() && column("z")[1].is_infinite());
    }

    #[test]
    fn colours_differ_and_those_of_s3dis_are_the_usual_ones() {
        for count in [1, 2, 24] {
            assert_eq!(palette(&names(count)).iter().collect::<HashSet<_>>().len(), count);
        }
        let known = palette(&CLASSES.map(str::to_owned));
        assert_eq!((known[0], known[8], known[12]), ([0, 255, 0], [255, 0, 0], [50, 50, 50]));
        assert_eq!(from_hue(0.0, 1.0, 1.0), [255, 0, 0]);
        assert_eq!(from_hue(1.0 / 3.0, 1.0, 1.0), [0, 255, 0]);
        assert_eq!(from_hue(0.5, 0.0, 1.0), [255, 255, 255]);
    }
}
