//! Pickles as Python 2 and 3 write them, taken from their disassembly, and what is refused.

use super::*;

fn value(content: &[u8]) -> Value {
    read(content, "a.pkl", &[]).unwrap()
}

fn refusal(content: &[u8]) -> String {
    read(content, "a.pkl", &[]).unwrap_err().to_string()
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

fn bytes(bytes: &[u8]) -> Value {
    Value::Bytes(bytes.into())
}

fn list(items: &[Value]) -> Value {
    Value::List(items.into())
}

#[test]
fn plain_values_of_all_protocols_are_read() {
    // pickle.dumps({'a': [1, True, None], 'é': (2.5, -3)}, protocol) of Python 3, and of Python 2 without the é.
    let zero = b"(dp0\nVa\np1\n(lp2\nI1\naI01\naNasV\\u00e9\np3\n(F2.5\nI-3\ntp4\ns.";
    let two =
        b"\x80\x02}q\0(X\x01\0\0\0aq\x01]q\x02(K\x01\x88NeX\x02\0\0\0\xc3\xa9q\x03G@\x04\0\0\0\0\0\0J\xfd\xff\xff\xff\x86q\x04u.";
    let four = b"\x80\x04\x95\x23\0\0\0\0\0\0\0}\x94(\x8c\x01a\x94]\x94(K\x01\x88Ne\x8c\x02\xc3\xa9\x94G@\x04\0\0\0\0\0\0J\xfd\xff\xff\xff\x86\x94u.";
    let expected = Value::Dict(
        [
            (text("a"), list(&[Value::Int(1), Value::Bool(true), Value::None])),
            (text("é"), Value::Tuple([Value::Float(2.5), Value::Int(-3)].into())),
        ]
        .into(),
    );
    for content in [zero.as_slice(), two, four] {
        assert_eq!(value(content), expected, "{}", content.escape_ascii());
    }
    assert_eq!(expected.get("a").unwrap().items().unwrap().len(), 3);
}

#[test]
fn integers_and_strings_are_read_in_every_form() {
    for (content, number) in [
        (b"I-5\n.".as_slice(), -5),
        (b"L12345678901L\n.", 12_345_678_901),
        (b"\x8a\x05\x1c\xdc\xdf\x02\0.", 48_225_308),
        (b"\x8a\x02\x00\xff.", -256),
        (b"\x8a\0.", 0),
        (b"M\x10\x27.", 10_000),
        (b"\x8b\x01\0\0\0\xff.", -1),
    ] {
        assert_eq!(value(content), Value::Int(number), "{}", content.escape_ascii());
    }
    assert!(refusal(b"\x8a\x09\0\0\0\0\0\0\0\0\x01.").contains("an integer of at most 64 bits"));
    assert!(refusal(b"L99999999999999999999L\n.").contains("an integer of at most 64 bits"));
    assert_eq!(value(b"S'a\\n\\x00\\'b'\n."), bytes(b"a\n\0'b"));
    assert_eq!(value(b"T\x02\0\0\0\xff\0."), bytes(b"\xff\0"));
    assert_eq!(value(b"\x8e\x01\0\0\0\0\0\0\0a."), bytes(b"a"));
    assert_eq!(value(b"\x96\x01\0\0\0\0\0\0\0a."), bytes(b"a"));
    // b'\xff' by Python 3 in protocol 2, and its empty bytes.
    assert_eq!(value(b"\x80\x02c_codecs\nencode\nX\x02\0\0\0\xc3\xbfX\x06\0\0\0latin1\x86R."), bytes(b"\xff"));
    assert_eq!(value(b"\x80\x02c__builtin__\nbytes\n)R."), bytes(b""));
}

/// An array of shape (2, 2) with this module, type and byte order, and these bytes.
fn array(module: &str, kind: &str, order: &str, data: &[u8]) -> Vec<u8> {
    let parts: [&[u8]; 11] = [
        b"\x80\x02c",
        module.as_bytes(),
        b"\n_reconstruct\ncnumpy\nndarray\nK\0\x85U\x01b\x87R(K\x01K\x02K\x02\x86cnumpy\ndtype\nU\x02",
        kind.as_bytes(),
        b"K\0K\x01\x87R(K\x03U\x01",
        order.as_bytes(),
        b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb\x89T",
        &(data.len() as u32).to_le_bytes(),
        data,
        b"tb",
        b".",
    ];
    parts.concat()
}

#[test]
fn arrays_of_numpy_are_read_from_all_its_modules() {
    for module in ["numpy.core.multiarray", "numpy._core.multiarray"] {
        for (kind, order, data) in [
            ("u1", "|", [1, 2, 3, 4].to_vec()),
            ("i8", "<", (1..5_i64).flat_map(i64::to_le_bytes).collect()),
            ("i2", ">", (1..5_i16).flat_map(i16::to_be_bytes).collect()),
        ] {
            let Value::Array(array) = value(&array(module, kind, order, &data)) else { panic!("{kind}") };
            assert_eq!(
                (&*array.kind, &array.shape[..], array.is_fortran),
                (&*format!("{order}{kind}"), &[2, 2][..], false)
            );
            assert_eq!(*array.data, *data);
            assert_eq!(Value::Array(array).integers().unwrap(), [1, 2, 3, 4]);
        }
    }
    // Protocol 5, in the file itself: _frombuffer(bytearray, dtype, (3,), 'C').
    let five = b"\x80\x05\x8c\x13numpy._core.numeric\x8c\x0b_frombuffer\x93(\x96\x03\0\0\0\0\0\0\0\x05\x06\x07\
        \x8c\x05numpy\x8c\x05dtype\x93\x8c\x02u1\x89\x88\x87R(K\x03\x8c\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb\
        K\x03\x85\x8c\x01CtR.";
    assert_eq!(value(five).integers().unwrap(), [5, 6, 7]);
    // A scalar: numpy.float32(1.5).
    let scalar = b"\x80\x02cnumpy.core.multiarray\nscalar\ncnumpy\ndtype\nU\x02f4K\0K\x01\x87R(K\x03U\x01<NNN\
        J\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tbU\x04\0\0\xc0?\x86R.";
    assert_eq!(value(scalar), Value::Float(1.5));
}

#[test]
fn arrays_that_lie_or_hold_no_numbers_are_refused() {
    let good = array("numpy.core.multiarray", "u1", "|", &[1, 2, 3, 4]);
    for bad in [
        array("numpy.core.multiarray", "u1", "|", &[1, 2, 3]),
        array("numpy.core.multiarray", "O8", "|", &[0; 32]),
        array("numpy.core.multiarray", "i8", "<", &[0; 4]),
    ] {
        assert!(refusal(&bad).contains("arrays of booleans, integers or floats"), "{}", refusal(&bad));
    }
    for end in 0..good.len() {
        assert!(refusal(&good[..end]).starts_with("a.pkl, byte "), "{end}");
    }
}

#[test]
fn dictionaries_of_collections_and_sparse_matrices_are_read() {
    // defaultdict(list, {0: [1]}) of Python 2, as Planetoid stores graphs.
    let graph = b"\x80\x02ccollections\ndefaultdict\nq\x01c__builtin__\nlist\nq\x02\x85Rq\x03K\x00]q\x04K\x01as.";
    assert_eq!(value(graph), Value::Dict([(Value::Int(0), list(&[Value::Int(1)]))].into()));
    let ordered = b"\x80\x02ccollections\nOrderedDict\n)R(X\x01\0\0\0aK\x01X\x01\0\0\0bK\x02u}X\x01\0\0\0xK\x09sb.";
    assert_eq!(value(ordered), Value::Dict([(text("a"), Value::Int(1)), (text("b"), Value::Int(2))].into()));
    let sparse = b"\x80\x02cscipy.sparse.csr\ncsr_matrix\n)\x81}(U\x06_shapeK\x02K\x03\x86U\x07maxprntK\x32ub.";
    let matrix = value(sparse);
    assert_eq!(matrix.get("_shape").unwrap().integers().unwrap(), [2, 3]);
    assert!(matches!(matrix, Value::Object(object) if &*object.name == "scipy.sparse.csr.csr_matrix"));
}

#[test]
fn other_names_are_refused_before_anything_is_made_of_them() {
    for (content, name) in [
        (b"cposix\nsystem\n(S'ls'\ntR.".as_slice(), "a use of posix.system"),
        (b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93\x8c\x011\x85R.", "a use of builtins.eval"),
        (b"cnumpy\nload\n.", "a use of numpy.load"),
        (b"(icollections\nCounter\n.", "the byte 0x69"),
        (b"\x82\x01.", "the byte 0x82"),
    ] {
        let error = read(content, "a.pkl", &[]).unwrap_err();
        assert!(error.to_string().contains(name) && error.exit_code() == 2, "{error}");
    }
    let other = b"ctorch._utils\n_rebuild_tensor_v2\n(X\x01\0\0\0aQK\x00tR.";
    assert!(refusal(other).contains("torch._utils._rebuild_tensor_v2"));
    let Value::Object(object) = read(other, "a.pkl", &["torch._utils._rebuild_tensor_v2"]).unwrap() else { panic!() };
    assert_eq!(object.arguments.items().unwrap()[0], Value::Persistent(Arc::new(text("a"))));
}

#[test]
fn nesting_and_references_are_bounded() {
    let deep = [&b"(".repeat(200_000)[..], b"t".repeat(200_000).as_slice(), b"."].concat();
    assert!(refusal(&deep).contains("values nested at most 64 deep"));
    assert!(refusal(b"]q\0h\0a.").contains("values nested at most 64 deep, found deeper ones, or one in itself"));
    // Each list holds the one before it ten times: 10^30 texts.
    let mut many = b"X\x04\0\0\0textq\0".to_vec();
    for level in 0..30 {
        many.extend([b'(']);
        many.extend([b'h', level].repeat(10));
        many.extend([b'l', b'q', level + 1]);
    }
    many.push(b'.');
    assert!(refusal(&many).contains("values that unfold to at most 16 MiB"));
    // A text of a MiB that is named 2000 times.
    let long = [b"X\0\0\x10\0".as_slice(), &vec![b'a'; 1 << 20], b"q\0(", &b"h\0".repeat(2000), b"l."].concat();
    assert!(refusal(&long).contains("by references to the same values"));
    let few = [b"X\0\0\x10\0".as_slice(), &vec![b'a'; 1 << 20], b"q\0(", &b"h\0".repeat(20), b"l."].concat();
    let Value::List(items) = value(&few) else { panic!() };
    let [Value::Text(one), .., Value::Text(other)] = &items[..] else { panic!() };
    assert!(Arc::ptr_eq(one, other), "what is referred to is kept once");
}

#[test]
fn a_list_that_grows_after_it_was_referred_to_is_the_same_list() {
    let expected = list(&[list(&[Value::Int(1)]), list(&[Value::Int(1)])]);
    assert_eq!(value(b"(]q\0h\0K\x01a0h\0h\0\x86l0]h\0ah\0a."), expected);
    assert!(refusal(b"h\x05.").contains("a value that came before, found number 5"));
    assert!(refusal(b"e.").contains("a mark before"));
    assert!(refusal(b"K\x01K\x02a.").contains("a list to append to"));
    assert!(refusal(b"(K\x01d.").contains("a value for every key"));
    assert!(refusal(b"(.").contains("a value before this instruction"));
    assert!(refusal(b"\x80\x06.").contains("protocol 0 to 5, found protocol 6"));
    assert!(refusal(b"").contains("found 0: the file is cut"));
}
