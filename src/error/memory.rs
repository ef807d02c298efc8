//! Memory that ran out, as libtorch, CUDA's libraries, C++ and the operating system say it.

use std::cell::Cell;

/// What to do where a command does not know better.
pub const USUAL_HINT: &str = "there was not enough memory: take a smaller --batch, fewer points (--set data.points=...), \
                              or --amp, which stores features in half the bytes";

thread_local! {
    static EXPECTED: Cell<bool> = const { Cell::new(false) };
}

/// Calls `action`, which gives an error where memory runs out, so that this does not end the program.
pub fn expecting_to_run_out<T>(action: impl FnOnce() -> T) -> T {
    let before = EXPECTED.replace(true);
    let given = action();
    EXPECTED.set(before);
    given
}

/// Whether this thread is in such a call.
pub fn may_run_out() -> bool {
    EXPECTED.try_with(Cell::get).unwrap_or(true)
}

/// What to do where no thread can be started.
pub const THREADS_HINT: &str =
    "lower --threads and data.workers, or let this user have more processes (`ulimit -u`) or memory";

/// What an exception of libtorch says when memory ran out: of the processor's allocator, of CUDA's, of CUDA itself, of
/// its driver and its libraries, of C++, of the operating system.
const WORDS: [&str; 12] = [
    "can't allocate memory",
    "not enough memory",
    "out of memory",
    "OUT_OF_MEMORY",
    "cudaErrorMemoryAllocation",
    "_ALLOC_FAILED",
    "Unable to find a valid cuDNN algorithm",
    "bad_alloc",
    "bad allocation",
    "Cannot allocate memory",
    "cannot allocate memory",
    "failed to allocate",
];

/// True where this text says that memory ran out.
pub fn is_told(text: &str) -> bool {
    WORDS.iter().any(|words| text.contains(words))
}

/// True where this text says that the operating system starts no more threads.
pub fn tells_of_threads(text: &str) -> bool {
    let words = ["Resource temporarily unavailable", "ThreadPoolBuildError", "failed to spawn thread"];
    words.iter().any(|words| text.contains(words))
}

/// The message for the text of an exception that [`is_told`]: where memory ran out and, where it says so, how much was
/// asked for.
pub fn message(text: &str) -> String {
    let place = device(text).map_or_else(String::new, |device| format!(" on {device}"));
    match asked(text) {
        Some(amount) => format!("out of memory{place}: libtorch asked for {amount}"),
        None => format!("out of memory{place}: {}", super::first_line(text)),
    }
}

/// `cuda:0`, where the text names a GPU; CUDA's allocator does.
fn device(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("GPU ")?;
    let index: String = rest.chars().take_while(char::is_ascii_digit).collect();
    (!index.is_empty()).then(|| format!("cuda:{index}"))
}

/// The amount that could not be had: `Tried to allocate 2.30 GiB` of CUDA's allocator, `tried to allocate 4503599627370496
/// bytes` of the processor's.
fn asked(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("ried to allocate ")?;
    let mut words = rest.split_whitespace();
    let (number, unit) = (words.next()?, words.next()?.trim_end_matches(['.', ',']));
    match unit {
        "bytes" => number.parse().ok().map(size),
        "KiB" | "MiB" | "GiB" | "TiB" => Some(format!("{number} {unit}")),
        _ => None,
    }
}

/// Bytes as people read them: `3.1 GiB`.
pub fn size(bytes: u64) -> String {
    let units = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let power = (bytes.max(1).ilog2() / 10) as usize;
    match power {
        0 => format!("{bytes} bytes"),
        _ => format!("{:.1} {}", bytes as f64 / (1_u64 << (10 * power)) as f64, units[power]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn place_and_amount_are_told() {
        let cases = [
            (
                "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to \
                 allocate 4503599627370496 bytes. Error code 12 (Cannot allocate memory)",
                "out of memory: libtorch asked for 4.0 PiB",
            ),
            (
                "[enforce fail at alloc_cpu.cpp:129] DefaultCPUAllocator: not enough memory: you tried to allocate 1073741824 \
                 bytes.",
                "out of memory: libtorch asked for 1.0 GiB",
            ),
            (
                "CUDA out of memory. Tried to allocate 2.30 GiB. GPU 1 has a total capacity of 15.77 GiB of which 1.1 GiB is \
                 free.",
                "out of memory on cuda:1: libtorch asked for 2.30 GiB",
            ),
            ("CUDA error: out of memory\nCUDA kernel errors might be", "out of memory: CUDA error: out of memory"),
            ("std::bad_alloc", "out of memory: std::bad_alloc"),
        ];
        for (text, told) in cases {
            assert!(is_told(text), "{text}");
            assert_eq!(message(text), told);
        }
    }

    #[test]
    fn other_exceptions_are_not_taken_for_it() {
        for text in [
            "The size of tensor a (3) must match the size of tensor b (4)",
            "cuDNN error: CUDNN_STATUS_NOT_SUPPORTED",
            "CUDA error: an illegal memory access was encountered",
        ] {
            assert!(!is_told(text), "{text}");
        }
        assert!(tells_of_threads("Os { code: 11, kind: WouldBlock, message: \"Resource temporarily unavailable\" }"));
    }

    #[test]
    fn sizes_are_read_by_people() {
        let told = [0, 1023, 1024, 3_328_599_654, u64::MAX].map(size);
        assert_eq!(told, ["0 bytes", "1023 bytes", "1.0 KiB", "3.1 GiB", "16.0 EiB"]);
    }
}
