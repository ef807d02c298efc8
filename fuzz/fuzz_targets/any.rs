//! Every fuzz target: the parser of the list that is called as the target is. An input must give `Ok` or an error, and
//! take at most a gibibyte.
#![no_main]

#[path = "../memory.rs"]
mod memory;
#[path = "../parsers.rs"]
mod parsers;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use parsers::Parser;

static PARSER: LazyLock<&Parser> = LazyLock::new(|| parsers::find(env!("CARGO_BIN_NAME")));

fuzz_target!(|content: &[u8]| {
    memory::bounded(|| {
        let _ = (PARSER.read)(content);
    });
});
