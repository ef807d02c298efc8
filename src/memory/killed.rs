//! Processes that the system ended because memory ran out. A process that was ended so says nothing itself.

use std::fs;

/// Where the system tells.
pub(super) const EVENTS: &str = "/proc/vmstat";

/// How many processes the system has ended for want of memory since it started; those of containers too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Killed {
    /// The start of the system that this counts from.
    boot: String,
    count: i64,
}

impl Killed {
    /// Until now; `None` where the system does not tell.
    pub fn so_far() -> Option<Self> {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?.trim().to_owned();
        let events = fs::read_to_string(EVENTS).ok()?;
        let count = events.lines().find_map(|line| line.strip_prefix("oom_kill ")?.parse().ok())?;
        Some(Self { boot, count })
    }

    /// How many.
    pub(super) fn count(&self) -> i64 {
        self.count
    }

    /// How many since an earlier count; none where another start of a system was counted.
    pub fn since(&self, earlier: &Self) -> u64 {
        if self.boot == earlier.boot { u64::try_from(self.count - earlier.count).unwrap_or(0) } else { 0 }
    }

    /// As one word, for [`Self::from_word`].
    pub fn to_word(&self) -> String {
        format!("{}:{}", self.boot, self.count)
    }

    /// What [`Self::to_word`] gave.
    pub fn from_word(word: &str) -> Option<Self> {
        let (boot, count) = word.split_once(':')?;
        Some(Self { boot: boot.to_owned(), count: count.parse().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_one_start_of_the_system_are_compared() {
        let [earlier, now, other] = ["a:2", "a:5", "b:9"].map(|word| Killed::from_word(word).unwrap());
        assert_eq!([now.since(&earlier), earlier.since(&now), other.since(&earlier)], [3, 0, 0]);
        assert_eq!(Killed::from_word(&now.to_word()), Some(now));
        assert_eq!([Killed::from_word("a"), Killed::from_word("a:b")], [None, None]);
    }
}
