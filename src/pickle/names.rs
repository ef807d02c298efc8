//! The classes and functions that a pickle may name.

/// What a name of a module and a class or function stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// An array that gets its content as attributes.
    Array,
    /// An array of a buffer.
    Buffer,
    /// A number of NumPy.
    Scalar,
    /// The type of elements.
    Type,
    /// A text as bytes.
    Encoded,
    Bytes,
    List,
    Dictionary,
    /// An object of a class that is its first argument.
    Reconstructed,
    /// A class that stays an object.
    Plain,
}

/// The names that are read, in the modules of all versions.
const NAMES: [(&str, Meaning); 30] = [
    ("numpy.core.multiarray._reconstruct", Meaning::Array),
    ("numpy._core.multiarray._reconstruct", Meaning::Array),
    ("numpy.core.numeric._frombuffer", Meaning::Buffer),
    ("numpy._core.numeric._frombuffer", Meaning::Buffer),
    ("numpy.core.multiarray.scalar", Meaning::Scalar),
    ("numpy._core.multiarray.scalar", Meaning::Scalar),
    ("numpy.dtype", Meaning::Type),
    ("numpy.ndarray", Meaning::Plain),
    ("_codecs.encode", Meaning::Encoded),
    ("__builtin__.bytes", Meaning::Bytes),
    ("builtins.bytes", Meaning::Bytes),
    ("__builtin__.bytearray", Meaning::Bytes),
    ("builtins.bytearray", Meaning::Bytes),
    ("__builtin__.list", Meaning::List),
    ("builtins.list", Meaning::List),
    ("__builtin__.dict", Meaning::Dictionary),
    ("builtins.dict", Meaning::Dictionary),
    ("collections.OrderedDict", Meaning::Dictionary),
    ("collections.defaultdict", Meaning::Dictionary),
    ("copy_reg._reconstructor", Meaning::Reconstructed),
    ("copyreg._reconstructor", Meaning::Reconstructed),
    ("__builtin__.object", Meaning::Plain),
    ("builtins.object", Meaning::Plain),
    ("__builtin__.int", Meaning::Plain),
    ("builtins.int", Meaning::Plain),
    ("scipy.sparse.csr.csr_matrix", Meaning::Plain),
    ("scipy.sparse._csr.csr_matrix", Meaning::Plain),
    ("scipy.sparse.csr_matrix", Meaning::Plain),
    ("scipy.sparse._csr.csr_array", Meaning::Plain),
    ("scipy.sparse.csr_array", Meaning::Plain),
];

/// What a known name stands for; a name that the caller added is a plain class.
pub(super) fn meaning(name: &str) -> Meaning {
    NAMES.iter().find(|(known, _)| *known == name).map_or(Meaning::Plain, |(_, meaning)| *meaning)
}

/// True for a name that stands for a value.
pub(super) fn is_known(name: &str) -> bool {
    NAMES.iter().any(|(known, _)| *known == name)
}
