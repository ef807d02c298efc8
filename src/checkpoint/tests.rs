//! What is saved is what is loaded; what is damaged, of another format or not finite is refused.

use super::*;

fn checkpoint() -> Checkpoint {
    let tensors = BTreeMap::from([
        ("a".to_owned(), Tensor::from_slice(&[1.0_f32, -2.0, 3.5]).view([3, 1])),
        ("b.c".to_owned(), Tensor::from_slice(&[7_i64])),
    ]);
    Checkpoint { tensors, state: serde_json::json!({"epoch": 3}) }
}

#[test]
fn what_was_saved_is_loaded_and_equal_states_are_equal_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("x.safetensors"), folder.path().join("y.safetensors"));
    checkpoint().save(&first).unwrap();
    checkpoint().save(&second).unwrap();
    assert_eq!(std::fs::read(&first).unwrap(), std::fs::read(&second).unwrap());
    let loaded = Checkpoint::load(&first).unwrap();
    assert_eq!(loaded.state["epoch"], 3);
    assert_eq!(loaded.tensors["a"], checkpoint().tensors["a"]);
    assert_eq!(loaded.below("b.")["c"], checkpoint().tensors["b.c"]);
}

#[test]
fn names_of_a_network_that_pytorch_wrapped_are_its_own() {
    let names = |names: &[&str]| {
        let tensors = names.iter().map(|name| ((*name).to_owned(), Tensor::from(0.5)));
        without_wrappers(tensors.collect()).0.into_keys().collect::<Vec<_>>()
    };
    assert_eq!(names(&["module.a.weight", "module.b"]), ["a.weight", "b"]);
    assert_eq!(names(&["_orig_mod.module.a", "_orig_mod.module.module.b"]), ["a", "module.b"]);
    assert_eq!(names(&["module.a", "b"]), ["b", "module.a"]);
    // Of a file that is not ours alone.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    let bytes = safetensors::serialize([("module.a", TensorView::new(Dtype::F32, vec![1], &[0; 4]).unwrap())], None);
    std::fs::write(&path, bytes.unwrap()).unwrap();
    let mut loaded = Checkpoint::load(&path).unwrap();
    assert_eq!(loaded.tensors.keys().collect::<Vec<_>>(), ["a"]);
    loaded.tensors = BTreeMap::from([("module.a".to_owned(), Tensor::from(0.5))]);
    loaded.save(&path).unwrap();
    assert_eq!(Checkpoint::load(&path).unwrap().tensors.keys().collect::<Vec<_>>(), ["module.a"]);
}

/// Safetensors whose metadata are these.
fn file(metadata: Option<HashMap<String, String>>) -> Vec<u8> {
    let numbers = [1.0_f32, 2.0].map(f32::to_le_bytes).concat();
    let view = TensorView::new(Dtype::F32, vec![2], &numbers).unwrap();
    safetensors::serialize([("a", view)], metadata).unwrap()
}

#[test]
fn every_flipped_bit_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    checkpoint().save(&path).unwrap();
    let whole = std::fs::read(&path).unwrap();
    for bit in 0..8 * whole.len() {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(&path, &flipped).unwrap();
        let Ok(loaded) = Checkpoint::load(&path) else { continue };
        // The name of the one key of the metadata is all that a checksum can't hold; the file then is as one of
        // another program, without a state that a run would go on with.
        assert!(loaded.state.is_null(), "bit {bit}: {:?}", String::from_utf8_lossy(&flipped));
    }
}

#[test]
fn files_without_a_checksum_are_read_and_later_formats_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    let load = |metadata| {
        std::fs::write(&path, file(metadata)).unwrap();
        Checkpoint::load(&path)
    };
    assert!(load(None).unwrap().state.is_null());
    let old = HashMap::from([("state".to_owned(), "{\"epoch\":3}".to_owned())]);
    assert_eq!(load(Some(old)).unwrap().state["epoch"], 3);
    let later = HashMap::from([("sgas".to_owned(), r#"{"format":3,"checksum":""}"#.to_owned())]);
    let error = load(Some(later)).err().unwrap();
    assert!(error.to_string().contains("expected a file of format 2 or before, found 3"), "{error}");
}

#[test]
fn a_number_that_is_not_finite_is_neither_kept_nor_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    checkpoint().save(&path).unwrap();
    let good = std::fs::read(&path).unwrap();
    let mut bad = checkpoint();
    bad.tensors.insert("c".to_owned(), Tensor::from_slice(&[1.0_f32, f32::NEG_INFINITY, f32::NAN]));
    let error = bad.save(&path).unwrap_err();
    assert!(error.to_string().ends_with("c would be kept with -inf (2 of 3 numbers are not finite)"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), good);
    let nan = f32::NAN.to_le_bytes();
    let view = TensorView::new(Dtype::F32, vec![1], &nan).unwrap();
    std::fs::write(&path, safetensors::serialize([("a.b", view)], None).unwrap()).unwrap();
    let error = Checkpoint::load(&path).err().unwrap();
    assert_eq!(error.exit_code(), 2);
    assert!(error.to_string().contains("x.safetensors: a.b: expected finite numbers, found NaN (1 of 1"), "{error}");
}

#[test]
fn a_cut_file_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.safetensors");
    checkpoint().save(&path).unwrap();
    let content = std::fs::read(&path).unwrap();
    std::fs::write(&path, &content[..content.len() - 4]).unwrap();
    let error = Checkpoint::load(&path).err().unwrap();
    assert_eq!(error.exit_code(), 2);
    assert!(error.to_string().contains("cut.safetensors"), "{error}");
}
