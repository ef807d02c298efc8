//! What every set is checked for when its samples were read: bad ones, and classes that have none.

use super::split::Split;
use crate::error::{Error, Result};

/// Bad files that are told one by one; of more only the number.
const TOLD: usize = 10;

/// The good samples and the number of bad ones; of these the first is an error unless they may be skipped.
pub(super) fn keep_good<T>(read: Vec<Result<T>>, skip_bad: bool) -> Result<(Vec<T>, usize)> {
    let (good, bad): (Vec<Result<T>>, Vec<Result<T>>) = read.into_iter().partition(Result::is_ok);
    let good: Vec<T> = good.into_iter().flatten().collect();
    let bad: Vec<Error> = bad.into_iter().filter_map(Result::err).collect();
    if skip_bad {
        for error in bad.iter().take(TOLD) {
            tracing::warn!("skipped: {error}");
        }
        if bad.len() > TOLD {
            tracing::warn!("and {} more bad files skipped", bad.len() - TOLD);
        }
        return Ok((good, bad.len()));
    }
    let others = bad.len().saturating_sub(1);
    match bad.into_iter().next() {
        None => Ok((good, 0)),
        Some(error) if others == 0 => Err(error),
        Some(error) => {
            let hint = format!(
                "{others} more files are bad: `sgas data info DIR` lists them, --skip-bad goes on without them"
            );
            let own = error.hint().map_or(String::new(), |own| format!("{own}; "));
            Err(error.with_hint(own + &hint))
        }
    }
}

/// Every class must have samples in the training and in the test split; `samples` are the split and class of each.
pub(super) fn check_classes(
    samples: impl Iterator<Item = (Split, usize)> + Clone,
    classes: &[String],
    origin: &str,
) -> Result<()> {
    for split in [Split::Train, Split::Test] {
        let mut counts = vec![0_usize; classes.len()];
        for (_, label) in samples.clone().filter(|(of, _)| *of == split) {
            counts[label] += 1;
        }
        if let Some(empty) = counts.iter().position(|count| *count == 0) {
            let place = format!("{origin}: {} split of class {}", split.name(), classes[empty]);
            return Err(Error::invalid(place, "at least one sample", "none")
                .with_hint("add samples of this class, or remove the class from both splits"));
        }
    }
    Ok(())
}
