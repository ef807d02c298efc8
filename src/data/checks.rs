//! What every set is checked for when its samples were read: bad ones, and classes that have none.

use rayon::prelude::*;

use super::split::Split;
use crate::error::{Error, Result};

/// Bad files that are told one by one; of more only the number.
const TOLD: usize = 10;

/// What `read` makes of each item, side by side.
///
/// # Errors
/// The first in the order of the items, whichever thread ends first: a parallel `collect::<Result<_>>` would give
/// another one at each run.
pub(super) fn each<I, T: Send>(items: I, read: impl Fn(I::Item) -> Result<T> + Sync + Send) -> Result<Vec<T>>
where
    I: IntoParallelIterator<Iter: IndexedParallelIterator>,
{
    let read: Vec<Result<T>> = items.into_par_iter().map(read).collect();
    read.into_iter().collect()
}

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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn the_first_error_is_the_first_in_order_not_in_time() {
        let last_failed = AtomicBool::new(false);
        let read = |item: &usize| -> Result<usize> {
            let start = Instant::now();
            match item {
                // Fails after the last one, which another thread reads.
                1 => {
                    while !last_failed.load(Ordering::SeqCst) && start.elapsed() < Duration::from_secs(20) {
                        thread::yield_now();
                    }
                }
                7 => last_failed.store(true, Ordering::SeqCst),
                good => return Ok(*good),
            }
            Err(Error::run(format!("item {item}")))
        };
        let items: Vec<usize> = (0..8).collect();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        assert_eq!(pool.install(|| each(&items, read)).unwrap_err().to_string(), "item 1");
        assert!(last_failed.load(Ordering::SeqCst));
        assert_eq!(each(&items[2..7], read).unwrap(), [2, 3, 4, 5, 6]);
    }
}
