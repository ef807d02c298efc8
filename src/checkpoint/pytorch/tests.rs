//! Files as `torch.save` writes them, in both formats, byte by byte; and hostile ones.

use super::super::WeightFile;
use super::*;
use std::io::{Cursor, Write};
use tch::Kind;

/// Writes pickles of protocol 2 as PyTorch does.
#[derive(Default)]
struct Pickle(Vec<u8>);

impl Pickle {
    fn text(mut self, text: &str) -> Self {
        self.0.push(b'X');
        self.0.extend((text.len() as u32).to_le_bytes());
        self.0.extend(text.as_bytes());
        self
    }

    fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    fn global(self, module: &str, name: &str) -> Self {
        self.raw(format!("c{module}\n{name}\n").as_bytes())
    }

    fn integer(mut self, number: i32) -> Self {
        self.0.push(b'J');
        self.0.extend(number.to_le_bytes());
        self
    }

    fn integers(self, numbers: &[i32]) -> Self {
        numbers.iter().fold(self.raw(b"("), |pickle, number| pickle.integer(*number)).raw(b"t")
    }

    /// ('storage', torch.<class>, key, 'cpu', length), kept elsewhere.
    fn storage(self, class: &str, key: &str, length: i32) -> Self {
        let pickle = self.raw(b"(").text("storage").global("torch", class).text(key).text("cpu").integer(length);
        pickle.raw(b"tQ")
    }

    /// The same with the part of it that is meant, or `N` for all, as the old format has it.
    fn part(self, class: &str, key: &str, length: i32, part: Option<[i32; 2]>) -> Self {
        let pickle = self.raw(b"(").text("storage").global("torch", class).text(key).text("cpu").integer(length);
        match part {
            Some([first, count]) => pickle.raw(b"(").text("view").integer(first).integer(count).raw(b"ttQ"),
            None => pickle.raw(b"NtQ"),
        }
    }

    /// A view of a storage that `storage` writes.
    fn tensor(self, storage: impl FnOnce(Self) -> Self, first: i32, sizes: &[i32], strides: &[i32]) -> Self {
        let begun = storage(self.global("torch._utils", "_rebuild_tensor_v2").raw(b"("));
        let hooks = begun.integer(first).integers(sizes).integers(strides).raw(b"\x89");
        hooks.global("collections", "OrderedDict").raw(b")RtR")
    }

    fn end(self) -> Vec<u8> {
        [b"\x80\x02", &self.0[..], b"."].concat()
    }
}

/// An OrderedDict of these entries, each a key and its value.
fn ordered(entries: impl FnOnce(Pickle) -> Pickle) -> Pickle {
    entries(Pickle::default().global("collections", "OrderedDict").raw(b")R(")).raw(b"u")
}

fn zip(pickle: &[u8], storages: &[(&str, &[u8])], packed: bool) -> Vec<u8> {
    let method = if packed { zip::CompressionMethod::Deflated } else { zip::CompressionMethod::Stored };
    let options = zip::write::FileOptions::default().compression_method(method);
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let mut add = |name: &str, content: &[u8]| {
        archive.start_file(format!("weights/{name}"), options).unwrap();
        archive.write_all(content).unwrap();
    };
    add("data.pkl", pickle);
    add("byteorder", b"little");
    storages.iter().for_each(|(key, content)| add(&format!("data/{key}"), content));
    add("version", b"3\n");
    archive.finish().unwrap().into_inner()
}

fn row(pickle: &[u8], storages: &[(&str, u64, &[u8])]) -> Vec<u8> {
    let mut content = [b"\x80\x02", MAGIC_NUMBER, b"\x80\x02M\xe9\x03.", b"\x80\x02}"].concat();
    content.extend(Pickle::default().raw(b"(").text("little_endian").raw(b"\x88u.").0);
    content.extend(pickle);
    let keys = storages.iter().fold(Pickle::default().raw(b"]("), |list, (key, ..)| list.text(key)).raw(b"e").end();
    content.extend(keys);
    for (_, length, bytes) in storages {
        content.extend(length.to_le_bytes());
        content.extend(*bytes);
    }
    content
}

const MAGIC_NUMBER: &[u8] = b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.";

fn parsed(content: &[u8]) -> Result<WeightFile> {
    WeightFile::parse(content, "w.pt")
}

fn refusal(content: &[u8]) -> String {
    let error = parsed(content).err().unwrap();
    assert_eq!(error.exit_code(), 2, "{error}");
    error.to_string()
}

fn floats(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

fn numbers(tensor: &Tensor) -> Vec<f64> {
    Vec::try_from(tensor.to_kind(Kind::Double).flatten(0, -1)).unwrap()
}

/// `a` (2, 3), `a_t` its transposition in the same storage, `b` in half precision, `c` a counter, `d` without numbers.
fn network() -> Vec<u8> {
    let six = |pickle: Pickle| pickle.storage("FloatStorage", "0", 6);
    let network = ordered(|pickle| {
        let pickle = pickle.text("a").tensor(six, 0, &[2, 3], &[3, 1]);
        let pickle = pickle.text("a_t").tensor(six, 0, &[3, 2], &[1, 3]);
        let pickle = pickle.text("last").tensor(six, 4, &[1, 2], &[77, 1]);
        let pickle = pickle.text("b").tensor(|pickle| pickle.storage("HalfStorage", "1", 2), 0, &[2], &[1]);
        let pickle = pickle.text("c").tensor(|pickle| pickle.storage("LongStorage", "2", 1), 0, &[], &[]);
        let pickle = pickle.text("d").tensor(six, 0, &[0, 3], &[3, 1]);
        let pickle = pickle.text("e").global("torch._utils", "_rebuild_parameter").raw(b"(");
        let pickle = pickle.tensor(|pickle| pickle.storage("BFloat16Storage", "3", 1), 0, &[1], &[1]);
        pickle.raw(b"\x88").global("collections", "OrderedDict").raw(b")RtR")
    });
    // The attribute that PyTorch gives every state dict.
    let metadata = network.raw(b"}(").text("_metadata").global("collections", "OrderedDict").raw(b")Rub");
    metadata.end()
}

const HALVES: [u8; 4] = [0, 0x3e, 0, 0xc0];
const ONE_IN_BF16: [u8; 2] = [0x80, 0x3f];

#[test]
fn both_formats_hold_the_same_weights() {
    let (six, counter) = (floats(&[1., 2., 3., 4., 5., 6.]), 7_i64.to_le_bytes());
    let zipped: [(&str, &[u8]); 4] = [("0", &six), ("1", &HALVES), ("2", &counter), ("3", &ONE_IN_BF16)];
    let in_row: [(&str, u64, &[u8]); 4] =
        [("3", 1, &ONE_IN_BF16), ("0", 6, &six), ("1", 2, &HALVES), ("2", 1, &counter)];
    let files = [
        (zip(&network(), &zipped, false), "PyTorch (ZIP)"),
        (zip(&network(), &zipped, true), "PyTorch (ZIP)"),
        (row(&network(), &in_row), "PyTorch (before 1.6)"),
    ];
    for (content, format) in files {
        let WeightFile { tensors, format: found, key, left_out, .. } = parsed(&content).unwrap();
        assert_eq!((found, key, left_out.len()), (format, None, 0));
        assert_eq!(tensors["a"].size(), [2, 3]);
        assert_eq!(numbers(&tensors["a"]), [1., 2., 3., 4., 5., 6.]);
        assert_eq!(tensors["a_t"].size(), [3, 2]);
        assert_eq!(numbers(&tensors["a_t"]), [1., 4., 2., 5., 3., 6.]);
        assert_eq!(numbers(&tensors["last"]), [5., 6.]);
        assert_eq!((tensors["b"].kind(), numbers(&tensors["b"])), (Kind::Half, vec![1.5, -2.]));
        assert_eq!(
            (tensors["c"].kind(), tensors["c"].size().len(), numbers(&tensors["c"])),
            (Kind::Int64, 0, vec![7.])
        );
        assert_eq!(tensors["d"].size(), [0, 3]);
        assert_eq!((tensors["e"].kind(), numbers(&tensors["e"])), (Kind::BFloat16, vec![1.]));
    }
}

#[test]
fn parts_of_storages_are_read_as_the_old_format_has_them() {
    let of = |part: Option<[i32; 2]>, sizes: &[i32]| {
        let tensor = |pickle: Pickle| {
            pickle.text("a").tensor(|pickle| pickle.part("FloatStorage", "0", 4, part), 0, sizes, &[1])
        };
        row(&ordered(tensor).end(), &[("0", 4, &floats(&[1., 2., 3., 4.]))])
    };
    for (part, sizes, expected) in
        [(None, 4, &[1., 2., 3., 4.][..]), (Some([1, 2]), 2, &[2., 3.]), (Some([3, 1]), 1, &[4.])]
    {
        assert_eq!(numbers(&parsed(&of(part, &[sizes])).unwrap().tensors["a"]), expected);
    }
    for (part, sizes) in [([1, 2], 3), ([3, 2], 2), ([i32::MAX, 4], 1)] {
        let text = refusal(&of(Some(part), &[sizes]));
        assert!(text.contains("expected a tensor within its storage"), "{text}");
    }
}

#[test]
fn files_that_python_2_wrote_are_read() {
    // Texts are bytes there, and an OrderedDict is made of a list of pairs.
    let word = |pickle: Pickle, word: &str| pickle.raw(&[b'U', word.len() as u8]).raw(word.as_bytes());
    let begun = Pickle::default().global("collections", "OrderedDict").raw(b"](](");
    let begun = word(begun, "module.a").global("torch._utils", "_rebuild_tensor").raw(b"((");
    let storage = word(word(begun, "storage").global("torch", "FloatStorage"), "140");
    let tensor = word(storage, "cuda:0").raw(b"K\x02NtQ").integer(0).integers(&[2]).integers(&[1]).raw(b"tR");
    let file = row(&tensor.raw(b"ee\x85R").end(), &[("140", 2, &floats(&[1., 2.]))]);
    let WeightFile { tensors, wrapper, .. } = parsed(&file).unwrap();
    assert_eq!((numbers(&tensors["a"]), &*wrapper), (vec![1., 2.], "module."));
}

/// One tensor of one number in a storage, under these names.
fn one(pickle: Pickle, name: &str) -> Pickle {
    pickle.text(name).tensor(|pickle| pickle.storage("FloatStorage", "0", 1), 0, &[1], &[1])
}

#[test]
fn weights_are_found_under_their_key_and_without_the_names_of_wrappers() {
    let inner = |pickle: Pickle| {
        let begun = pickle.global("collections", "OrderedDict").raw(b")R(");
        one(one(begun, "module.a"), "module.b").raw(b"u")
    };
    let one_number = [("0", &floats(&[0.5])[..])];
    for key in ["state_dict", "model_state_dict", "anything"] {
        let pickle = Pickle::default().raw(b"}(").text("epoch").integer(3).text("args");
        let pickle = pickle.global("argparse", "Namespace").raw(b")\x81}(").text("lr").integer(1).raw(b"ub");
        let pickle = inner(pickle.text("optimizer").raw(b"}").text(key)).raw(b"u");
        let file = parsed(&zip(&pickle.end(), &one_number, false)).unwrap();
        assert_eq!((file.key.as_deref(), &*file.wrapper), (Some(key), "module."));
        assert_eq!(file.left_out, ["epoch", "args", "optimizer"]);
        assert_eq!(file.tensors.keys().collect::<Vec<_>>(), ["a", "b"]);
    }
    // Of two that none of the usual keys names, it is not guessed which is meant.
    let two = inner(inner(Pickle::default().raw(b"}(").text("generator")).text("discriminator")).raw(b"u").end();
    let text = refusal(&zip(&two, &one_number, false));
    assert!(text.contains("expected one state dict") && text.ends_with("found generator, discriminator"), "{text}");
    let none = Pickle::default().raw(b"}(").text("epoch").integer(3).raw(b"u").end();
    let text = refusal(&zip(&none, &[], false));
    assert!(text.ends_with("found a dictionary without tensors (epoch)"), "{text}");
    let nan = zip(&one(Pickle::default().raw(b"}("), "a").raw(b"u").end(), &[("0", &floats(&[f32::NAN]))], false);
    assert!(refusal(&nan).contains("w.pt: a: expected finite numbers"));
}

#[test]
fn hostile_files_are_refused_without_effect() {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("executed");
    let command = format!("touch {}", mark.display());
    let calls = [
        Pickle::default().global("posix", "system").raw(b"(").text(&command).raw(b"tR").end(),
        Pickle::default()
            .raw(b"}(")
            .text("state_dict")
            .global("os", "system")
            .raw(b"(")
            .text(&command)
            .raw(b"tRu")
            .end(),
        ordered(|pickle| pickle.text("a").global("builtins", "eval").raw(b"(").text(&command).raw(b"tR")).end(),
        [
            b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c".as_slice(),
            &[command.len() as u8],
            command.as_bytes(),
            b"\x85R.",
        ]
        .concat(),
        Pickle::default().global("torch.hub", "load").raw(b")R").end(),
    ];
    for pickle in &calls {
        for content in [zip(pickle, &[], false), row(pickle, &[])] {
            let error = parsed(&content).err().unwrap();
            assert!(error.to_string().contains("a use of ") && error.exit_code() == 2, "{error}");
            assert!(error.hint().unwrap().contains("torch.save(model.state_dict(), FILE)"));
        }
    }
    assert!(!mark.exists());
    // A list that holds itself, nested lists, and lists that unfold to 10^30.
    let mut many = Pickle::default().text("text").raw(b"q\0");
    for level in 0..30_u8 {
        many = many.raw(b"(").raw(&[b'h', level].repeat(10)).raw(&[b'l', b'q', level + 1]);
    }
    let deep = Pickle::default().raw(&b"(".repeat(100_000)).raw(&b"t".repeat(100_000));
    for pickle in [Pickle::default().raw(b"]q\0h\0a"), deep, many].map(Pickle::end) {
        for content in [zip(&pickle, &[], false), row(&pickle, &[])] {
            let text = refusal(&content);
            assert!(text.contains("nested at most") || text.contains("unfold to at most"), "{text}");
        }
    }
}

#[test]
fn sizes_that_lie_are_refused() {
    let of = |length: i32, first: i32, sizes: &[i32], strides: &[i32]| {
        let tensor = |pickle: Pickle| {
            pickle.text("a").tensor(|pickle| pickle.storage("FloatStorage", "0", length), first, sizes, strides)
        };
        ordered(tensor).end()
    };
    let data = floats(&[1., 2., 3., 4.]);
    let most = i32::MAX;
    // Elements of the storage, the first of the tensor, sizes, strides, and what is told.
    type Lie<'a> = (i32, i32, &'a [i32], &'a [i32], &'a str);
    let cases: [Lie<'_>; 10] = [
        (4, 0, &[5], &[1], "in a storage of 4"),
        (4, 1, &[4], &[1], "in a storage of 4"),
        (4, 0, &[2, 2], &[3, 1], "in a storage of 4"),
        (4, 0, &[2, 2], &[most, most], "in a storage of 4"),
        (4, 0, &[most, most, most], &[0, 0, 0], "more than the file can hold"),
        (4, 0, &[1 << 25], &[0], "more than the file can hold"),
        (4, -1, &[1], &[1], "that are none"),
        (4, 0, &[-1], &[1], "that are none"),
        (4, 0, &[2, 2], &[1], "2 sizes and 1 strides"),
        (most, 0, &[4], &[1], "16 bytes: the file is cut"),
    ];
    for (length, first, sizes, strides, expected) in cases {
        let text = refusal(&zip(&of(length, first, sizes, strides), &[("0", &data)], false));
        assert!(text.contains(expected), "{text}");
    }
    // Strides of single elements may be any.
    let file = parsed(&zip(&of(4, 2, &[1, 2], &[most, 1]), &[("0", &data)], false)).unwrap();
    assert_eq!(numbers(&file.tensors["a"]), [3., 4.]);
    // A row whose storage is longer than the file, or that no tensor views.
    let text = refusal(&row(&of(4, 0, &[4], &[1]), &[("0", u64::MAX / 2, &data)]));
    assert!(text.contains("the file is cut"), "{text}");
    assert!(refusal(&row(&of(4, 0, &[4], &[1]), &[("9", 4, &data)])).contains("found storage 9"));
    assert!(refusal(&row(&of(4, 0, &[4], &[1]), &[])).contains("storage 0"));
    // A bomb: 64 MiB of zeros in a few KiB.
    let zeros = vec![0; 64 << 20];
    let text = refusal(&zip(&of(1 << 24, 0, &[1 << 24], &[1]), &[("0", &zeros)], true));
    assert!(text.contains("more than the file can hold") || text.contains("unpack to at most"), "{text}");
}

#[test]
fn what_is_cut_or_of_another_kind_is_told() {
    let pickle = one(Pickle::default().raw(b"}("), "a").raw(b"u").end();
    let number = floats(&[0.5]);
    let (zipped, in_row) = (zip(&pickle, &[("0", &number)], false), row(&pickle, &[("0", 1, &number)]));
    parsed(&zipped).unwrap();
    parsed(&in_row).unwrap();
    for end in 0..in_row.len() {
        assert!(parsed(&in_row[..end]).is_err(), "{end} of {}", in_row.len());
    }
    for end in (0..zipped.len()).step_by(7) {
        assert!(parsed(&zipped[..end]).is_err(), "{end} of {}", zipped.len());
    }
    let mut tar = vec![0; 512];
    tar[257..262].copy_from_slice(b"ustar");
    assert!(refusal(&tar).ends_with("found a TAR archive, as PyTorch 0.1 wrote them"));
    assert!(
        refusal(&zip(b"\x80\x02K\x01.", &[], false))
            .contains("expected a state dict: tensors by name, found an integer")
    );
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    archive.start_file("a.npy", zip::write::FileOptions::default()).unwrap();
    assert!(refusal(&archive.finish().unwrap().into_inner()).ends_with("no data.pkl in it"));
}
