//! Every fuzz target: the parser of the list that is called as the target is. An input must give `Ok` or an error, and
//! take at most a gibibyte. A panic ends the target at once, but for those of the crate `laz`, of which the reader makes
//! errors.
#![no_main]

#[path = "../memory.rs"]
mod memory;
#[path = "../parsers.rs"]
mod parsers;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use parsers::Parser;

static PARSER: LazyLock<&Parser> = LazyLock::new(|| {
    let end = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !panic.location().is_some_and(|place| place.file().contains("/laz-")) {
            end(panic);
        }
    }));
    parsers::find(env!("CARGO_BIN_NAME"))
});

fuzz_target!(|content: &[u8]| {
    memory::bounded(|| {
        let _ = (PARSER.read)(content);
    });
});
