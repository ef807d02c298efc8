//! Layouts of labelled clouds, made as those who publish them lay them out.

use super::*;
use crate::data::folders::tests::write;

fn array(kind: &str, shape: [usize; 2], values: &[f32]) -> Vec<u8> {
    let mut bytes = crate::data::numpy::header::write(kind, shape);
    for value in values {
        match kind {
            "|u1" => bytes.push(*value as u8),
            _ => bytes.extend(value.to_le_bytes()),
        }
    }
    bytes
}

fn column<'a>(raw: &'a Raw, name: &str) -> &'a [f64] {
    raw.column(name).unwrap_or_else(|| panic!("{name} of {}", raw.names()))
}

fn listed(folder: &Path, area: u8) -> (&'static Gathered, Vec<(String, Option<Split>)>) {
    let layout = Gathered::detect(folder).unwrap();
    let inside = |path: &Path| path.strip_prefix(folder).unwrap().display().to_string();
    (layout, layout.list(folder, area).unwrap().iter().map(|(path, split)| (inside(path), *split)).collect())
}

#[test]
fn rooms_of_s3dis_are_read_as_released() {
    let folder = tempfile::tempdir().unwrap();
    for area in ["Area_1", "Area_5"] {
        let room = format!("{area}/office_1");
        write(folder.path(), &format!("{area}/{area}_alignmentAngle.txt"), b"## angles\noffice_1 0\n");
        write(folder.path(), &format!("{room}/office_1.txt"), b"0 0 0 255 0 0\n1 1 1 0 51 0\n2 2 2 0 0 0\n");
        write(folder.path(), &format!("{room}/Annotations/chair_1.txt"), b"0 0 0 255 0 0\n1 1 1 0 51 0\n");
        write(folder.path(), &format!("{room}/Annotations/stairs_1.txt"), b"2 2 2 0 0 0\n");
    }
    let (layout, rooms) = listed(folder.path(), 5);
    let expected = [("Area_1/office_1", Split::Train), ("Area_5/office_1", Split::Test)];
    assert_eq!(rooms, expected.map(|(room, split)| (room.to_owned(), Some(split))));
    let room = (layout.read)(&folder.path().join("Area_1/office_1")).unwrap();
    assert_eq!(column(&room, "label"), [8.0, 8.0, 12.0]);
    assert_eq!((column(&room, "x"), column(&room, "red")), (&[0.0, 1.0, 2.0][..], &[255.0, 0.0, 0.0][..]));
}

#[test]
fn arrays_of_seven_columns_are_rooms_of_their_areas() {
    let folder = tempfile::tempdir().unwrap();
    let rows = [0.0, 1.0, 2.0, 255.0, 0.0, 0.0, 3.0, 4.0, 5.0, 6.0, 0.0, 51.0, 0.0, 12.0];
    for room in ["Area_2_office_1", "Area_5_hallway_1"] {
        write(folder.path(), &format!("{room}.npy"), &array("<f4", [2, 7], &rows));
    }
    let (layout, rooms) = listed(folder.path(), 2);
    assert_eq!(rooms[0], ("Area_2_office_1.npy".to_owned(), Some(Split::Test)));
    let room = (layout.read)(&folder.path().join("Area_2_office_1.npy")).unwrap();
    assert_eq!((column(&room, "label"), column(&room, "green")), (&[3.0, 12.0][..], &[0.0, 51.0][..]));
    write(folder.path(), "Area_3_wc_1.npy", &array("<f4", [2, 6], &rows[..12]));
    let message = (layout.read)(&folder.path().join("Area_3_wc_1.npy")).unwrap_err().to_string();
    assert!(message.ends_with("expected 7 columns: x y z red green blue label, found 6 columns"), "{message}");
}

#[test]
fn arrays_of_a_scene_are_joined() {
    let folder = tempfile::tempdir().unwrap();
    for part in ["train", "val"] {
        let scene = format!("{part}/scene0000_00");
        write(folder.path(), &format!("{scene}/coord.npy"), &array("<f4", [2, 3], &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]));
        write(folder.path(), &format!("{scene}/color.npy"), &array("|u1", [2, 3], &[255.0, 0.0, 0.0, 0.0, 51.0, 0.0]));
        write(folder.path(), &format!("{scene}/segment.npy"), &array("<f4", [2, 1], &[-1.0, 7.0]));
    }
    let (layout, scenes) = listed(folder.path(), 5);
    let expected = [("train/scene0000_00", Split::Train), ("val/scene0000_00", Split::Validation)];
    assert_eq!(scenes, expected.map(|(scene, split)| (scene.to_owned(), Some(split))));
    let scene = (layout.read)(&folder.path().join("val/scene0000_00")).unwrap();
    assert_eq!((column(&scene, "segment"), column(&scene, "green")), (&[-1.0, 7.0][..], &[0.0, 0.2][..]));
}

#[test]
fn scans_of_semantic_kitti_have_the_labels_beside_them() {
    let folder = tempfile::tempdir().unwrap();
    let scan: Vec<u8> = [1.0_f32, 2.0, 3.0, 0.5, 4.0, 5.0, 6.0, 0.25].into_iter().flat_map(f32::to_le_bytes).collect();
    // A moving car, with the number of the object in the upper half, and an outlier.
    let labels: Vec<u8> = [252_u32 | 9 << 16, 1].into_iter().flat_map(u32::to_le_bytes).collect();
    for sequence in ["00", "08"] {
        write(folder.path(), &format!("sequences/{sequence}/velodyne/000000.bin"), &scan);
        write(folder.path(), &format!("sequences/{sequence}/labels/000000.label"), &labels);
    }
    write(folder.path(), "sequences/11/velodyne/000000.bin", &scan);
    let (layout, scans) = listed(folder.path(), 5);
    assert_eq!(scans.iter().map(|(_, split)| split.unwrap()).collect::<Vec<_>>(), [Split::Train, Split::Validation]);
    let path = folder.path().join("sequences/00/velodyne/000000.bin");
    let read = (layout.read)(&path).unwrap();
    assert_eq!((column(&read, "y"), column(&read, "remission")), (&[2.0, 5.0][..], &[0.5, 0.25][..]));
    let classes = column(&read, "label");
    assert!(classes[0] == 0.0 && classes[1].is_nan());
    write(folder.path(), "sequences/00/labels/000000.label", &labels[..4]);
    let message = (layout.read)(&path).unwrap_err().to_string();
    assert!(message.ends_with("expected a label of 4 bytes for each of 2 points, found 4 bytes"), "{message}");
    write(folder.path(), "sequences/00/velodyne/000000.bin", &scan[..17]);
    assert!((layout.read)(&path).unwrap_err().to_string().contains("expected points of 16 bytes"));
}
