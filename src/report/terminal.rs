//! The terminal that bars and logs share.

use indicatif::MultiProgress;
use std::sync::LazyLock;

/// All bars of the process, on standard error; whoever writes there suspends them.
pub fn bars() -> &'static MultiProgress {
    static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);
    &BARS
}
