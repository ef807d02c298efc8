//! The one error type: what was expected, what was found, where, and what to do about it.
//!
//! Printed once, by `main`, as `error: <message>` and, where there is one, `hint: <what to do>`.
//! Exit code 2 means that the user's input (flag, configuration, file) must change; 1 that a run failed.

pub mod memory;

pub use memory::size;
use std::path::{Path, PathBuf};

/// Everything that can go wrong, in the user's terms.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something that can't be done as asked: a flag, a name, a folder that is not there.
    #[error("{message}")]
    Usage {
        /// What was asked for and why it can't be done.
        message: String,
        /// What to do instead.
        hint: Option<String>,
    },
    /// An input whose content is not what it must be.
    #[error("{place}: expected {expected}, found {found}")]
    Invalid {
        /// File and key, line, tensor or dataset.
        place: String,
        /// What belongs there.
        expected: String,
        /// What stands there.
        found: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// The operating system refused to read an input.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The operating system refused to write a result.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A run that began and could not go on: a loss that is not a number, memory that ran out.
    #[error("{message}")]
    Run {
        /// What happened, with epoch and step.
        message: String,
        /// What to change for the next run.
        hint: Option<String>,
    },
    /// A number of a run is inf or NaN where none may be: a run can skip the step or go back ([`crate::step::OnNan`]).
    #[error("{message}")]
    NotFinite {
        /// What is not finite, with epoch and step.
        message: String,
        /// What to change.
        hint: Option<String>,
    },
    /// A signal stopped a run, whose state is kept.
    #[error("{message}")]
    Stopped {
        /// By what, and where it stands.
        message: String,
        /// How to go on.
        hint: Option<String>,
        /// The signal's number.
        signal: u8,
    },
    /// What a process that this one started has said already.
    #[error("a process of this one failed, as it said")]
    Told {
        /// The exit code.
        code: u8,
    },
    /// Memory that ran out, whoever noticed: libtorch on a processor or GPU, a library of CUDA, C++, the system.
    #[error("{message}")]
    OutOfMemory {
        /// Where, and how much was asked for.
        message: String,
        /// What libtorch said in full; empty where nobody said more.
        details: String,
        /// Which key to change.
        hint: Option<String>,
    },
    /// An exception of libtorch: its whole text. The first line is the message; what may follow is libtorch's advice
    /// and its C++ stack.
    #[error("libtorch: {}", first_line(.0))]
    Torch(String),
    /// Another error, and where in a run it came up.
    #[error("{place}: {source}")]
    At {
        /// Epoch and step.
        place: String,
        /// What happened.
        source: Box<Self>,
    },
}

/// The first of these names, and how many more there are.
pub fn few<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    const SHOWN: usize = 5;
    let names: Vec<&str> = names.into_iter().collect();
    let shown = names[..names.len().min(SHOWN)].join(", ");
    if names.len() > SHOWN { format!("{shown} and {} more", names.len() - SHOWN) } else { shown }
}

/// `std::result::Result` with [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// A request that can't be carried out.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::Usage { message: message.into(), hint: None }
    }

    /// A wrong value at `place`: a file by its path, a key, or both in words.
    pub fn invalid(place: impl AsRef<Path>, expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self::Invalid {
            place: place.as_ref().display().to_string(),
            expected: expected.into(),
            found: found.into(),
            hint: None,
        }
    }

    /// An input that could not be read.
    pub fn read(path: impl AsRef<Path>, source: std::io::Error) -> Self {
        if source.kind() == std::io::ErrorKind::OutOfMemory {
            return Self::out_of_memory(format!("out of memory: {} does not fit into memory", path.as_ref().display()));
        }
        Self::Read { path: path.as_ref().to_owned(), source }
    }

    /// A result that could not be written.
    pub fn write(path: impl AsRef<Path>, source: std::io::Error) -> Self {
        Self::Write { path: path.as_ref().to_owned(), source }
    }

    /// A run that failed.
    pub fn run(message: impl Into<String>) -> Self {
        Self::Run { message: message.into(), hint: None }
    }

    /// A number that is inf or NaN.
    pub fn not_finite(message: impl Into<String>) -> Self {
        Self::NotFinite { message: message.into(), hint: None }
    }

    /// Whether a number of a run is inf or NaN.
    pub fn is_not_finite(&self) -> bool {
        match self {
            Self::NotFinite { .. } => true,
            Self::At { source, .. } => source.is_not_finite(),
            _ => false,
        }
    }

    /// An exception of libtorch, by its whole text: [`Error::OutOfMemory`] where it says so, else [`Error::Torch`].
    pub fn torch(text: impl Into<String>) -> Self {
        let details = text.into();
        if memory::is_told(&details) {
            return Self::OutOfMemory { message: memory::message(&details), details, hint: None };
        }
        Self::Torch(details)
    }

    /// Memory that ran out; the message says where.
    pub fn out_of_memory(message: impl Into<String>) -> Self {
        Self::OutOfMemory { message: message.into(), details: String::new(), hint: None }
    }

    /// The system starts no more threads; the reason is its own.
    pub fn no_thread(reason: impl std::fmt::Display) -> Self {
        Self::run(format!("the system starts no more threads: {reason}")).with_hint(memory::THREADS_HINT)
    }

    /// The error of a panic with this message, where it says that the system starts no more threads.
    pub fn of_thread_text(text: &str) -> Option<Self> {
        memory::tells_of_threads(text).then(|| Self::no_thread(first_line(text)))
    }

    /// Whether memory ran out, wherever that was noticed.
    pub fn is_out_of_memory(&self) -> bool {
        match self {
            Self::OutOfMemory { .. } => true,
            Self::At { source, .. } => source.is_out_of_memory(),
            _ => false,
        }
    }

    /// The same with the key to change, where memory ran out and nobody has named one yet.
    #[must_use]
    pub fn with_memory_hint(self, text: impl FnOnce() -> String) -> Self {
        let mut inner = &self;
        while let Self::At { source, .. } = inner {
            inner = source;
        }
        match inner {
            Self::OutOfMemory { hint: None, .. } => self.with_hint(text()),
            _ => self,
        }
    }

    /// Adds what to do about it; of no effect on errors of the operating system and of libtorch.
    #[must_use]
    pub fn with_hint(mut self, text: impl Into<String>) -> Self {
        let mut error = &mut self;
        while let Self::At { source, .. } = error {
            error = source;
        }
        if let Self::Usage { hint, .. }
        | Self::Invalid { hint, .. }
        | Self::Run { hint, .. }
        | Self::NotFinite { hint, .. }
        | Self::OutOfMemory { hint, .. }
        | Self::Stopped { hint, .. } = error
        {
            *hint = Some(text.into());
        }
        self
    }

    /// The same where its place is better told by another name: the flag that set a key, the file that a key is in.
    #[must_use]
    pub fn placed(mut self, name: impl FnOnce(&str) -> String) -> Self {
        if let Self::Invalid { place, .. } = &mut self {
            *place = name(place);
        }
        self
    }

    /// The same of a number that is not finite with more to say about it.
    #[must_use]
    pub fn saying(mut self, text: &str) -> Self {
        let mut error = &mut self;
        while let Self::At { source, .. } = error {
            error = source;
        }
        if let Self::NotFinite { message, .. } = error {
            message.push_str(text);
        }
        self
    }

    /// The same with more to say about a misuse.
    #[must_use]
    pub fn adding(mut self, text: &str) -> Self {
        if let Self::Usage { message, .. } = &mut self {
            message.push_str(text);
        }
        self
    }

    /// Adds where in a run it came up; hint and exit code stay.
    #[must_use]
    pub fn at(self, place: impl Into<String>) -> Self {
        Self::At { place: place.into(), source: Box::new(self) }
    }

    /// The error of one of several processes that share a run.
    #[must_use]
    pub fn of_rank(self, rank: usize) -> Self {
        if self.is_of_rank() { self } else { self.at(format!("rank {rank}")) }
    }

    /// Whether it says which process it is of.
    pub fn is_of_rank(&self) -> bool {
        self.to_string().starts_with("rank ")
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Usage { hint, .. }
            | Self::Invalid { hint, .. }
            | Self::Run { hint, .. }
            | Self::NotFinite { hint, .. }
            | Self::Stopped { hint, .. } => hint.as_deref(),
            Self::OutOfMemory { hint, .. } => Some(hint.as_deref().unwrap_or(memory::USUAL_HINT)),
            Self::Torch(text) => hint_of_torch(text),
            Self::At { source, .. } => source.hint(),
            Self::Read { .. } | Self::Write { .. } | Self::Told { .. } => None,
        }
    }

    /// Unwinds with this error; [`crate::panics::as_errors`] gives it back. For operations that fail only as libtorch's
    /// own operators do, where a `Result` would bury the formula.
    #[track_caller]
    pub fn raise(self) -> ! {
        std::panic::panic_any(self)
    }

    /// 2 where the user's input must change, 1 where a run failed, 128 and a signal's number where that stopped it.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage { .. } | Self::Invalid { .. } | Self::Read { .. } => 2,
            Self::Write { .. }
            | Self::Run { .. }
            | Self::NotFinite { .. }
            | Self::OutOfMemory { .. }
            | Self::Torch(_) => 1,
            Self::Stopped { signal, .. } => 128 + signal,
            Self::Told { code } => *code,
            Self::At { source, .. } => source.exit_code(),
        }
    }
}

impl From<tch::TchError> for Error {
    fn from(error: tch::TchError) -> Self {
        match error {
            tch::TchError::Torch(text) => Self::torch(text),
            other => Self::torch(other.to_string()),
        }
    }
}

/// What to do about those exceptions of libtorch that have a common cause.
fn hint_of_torch(text: &str) -> Option<&'static str> {
    text.contains("does not have a deterministic implementation")
        .then_some("leave --deterministic out: this operator has no repeatable form on a GPU")
}

/// libtorch appends a C++ backtrace to its messages; the first line is the message.
pub fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_tell_input_from_failure() {
        assert_eq!(Error::usage("x").exit_code(), 2);
        assert_eq!(Error::invalid("f", "a", "b").exit_code(), 2);
        assert_eq!(Error::run("x").exit_code(), 1);
        assert_eq!(Error::Torch("x".into()).exit_code(), 1);
    }

    #[test]
    fn a_place_is_added_to_any_error() {
        let at = |error: Error| error.at("epoch 3, step 5");
        for error in
            [Error::run("x").with_hint("y"), Error::invalid("f", "a", "b"), Error::Torch("out of memory".into())]
        {
            let (text, hint, code) = (error.to_string(), error.hint().map(str::to_owned), error.exit_code());
            let placed = at(error);
            assert_eq!(placed.to_string(), format!("epoch 3, step 5: {text}"));
            assert_eq!((placed.hint().map(str::to_owned), placed.exit_code()), (hint, code));
        }
        assert_eq!(at(Error::run("x")).with_hint("y").hint(), Some("y"));
    }

    #[test]
    fn an_exception_of_libtorch_shows_its_first_line_and_keeps_the_rest() {
        let error = Error::from(tch::TchError::Torch("sizes don't fit\nException raised from x.cpp:1\n".to_owned()));
        assert_eq!(error.to_string(), "libtorch: sizes don't fit");
        assert_eq!(error.hint(), None);
        assert!(matches!(error, Error::Torch(text) if text.contains("x.cpp:1")));
    }

    #[test]
    fn memory_that_ran_out_has_a_hint_whoever_says_it() {
        for text in [
            "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to \
             allocate 4503599627370496 bytes. Error code 12 (Cannot allocate memory)",
            "CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of 15.77 GiB",
            "CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported",
            "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
            "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
            "std::bad_alloc",
        ] {
            let error = Error::torch(text);
            assert!(error.is_out_of_memory() && error.to_string().starts_with("out of memory"), "{error}");
            let hint = error.hint().unwrap_or_else(|| panic!("no hint for: {text}"));
            assert!(hint.contains("--batch") && hint.contains("--amp") && hint.contains("points"), "{hint}");
            assert_eq!(error.exit_code(), 1);
        }
    }

    #[test]
    fn the_key_to_change_is_named_once_and_outlasts_a_place() {
        let failed = || Error::torch("std::bad_alloc").at("epoch 1, step 2");
        let error = failed().with_memory_hint(|| "first".to_owned()).with_memory_hint(|| "second".to_owned());
        assert!(error.is_out_of_memory());
        assert_eq!((error.hint(), error.exit_code()), (Some("first"), 1));
        let other = Error::run("x").with_memory_hint(|| "y".to_owned());
        assert_eq!((other.hint(), other.is_out_of_memory()), (None, false));
        let file = Error::read("large.npy", std::io::Error::from(std::io::ErrorKind::OutOfMemory));
        assert!(file.is_out_of_memory() && file.to_string().contains("large.npy") && file.exit_code() == 1, "{file}");
    }

    #[test]
    fn an_invalid_value_names_place_expectation_and_finding() {
        let error = Error::invalid("a.toml: model.k", "1 to 64", "0").with_hint("set model.k");
        assert_eq!(error.to_string(), "a.toml: model.k: expected 1 to 64, found 0");
        assert_eq!(error.hint(), Some("set model.k"));
    }
}
