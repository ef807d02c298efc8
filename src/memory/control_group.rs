//! Memory that control groups leave to this process: a container's, a batch job's, and all that they lie in.
//!
//! Their files are read here because `sysinfo` looks at the outermost group alone, and counts what the system keeps of
//! files, which it gives back when memory is short, as taken.

use std::fs;
use std::path::{Path, PathBuf};

/// A limit above is none: version 1 writes the greatest number of pages.
const NO_LIMIT: u64 = 1 << 60;

/// What a group leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limit {
    /// All that it allows.
    pub total: u64,
    /// Of it what is not taken for good.
    pub free: u64,
}

/// The names of version 1 and 2 for the same things.
struct Names {
    limit: &'static str,
    used: &'static str,
    /// Of `memory.stat`: pages of files.
    files: [&'static str; 2],
}

const VERSION_1: Names = Names {
    limit: "memory.limit_in_bytes",
    used: "memory.usage_in_bytes",
    files: ["total_inactive_file", "total_active_file"],
};
const VERSION_2: Names = Names { limit: "memory.max", used: "memory.current", files: ["inactive_file", "active_file"] };

/// The tightest limits of all groups that hold this process: the least total and the least that is free. `None` where
/// there is no limit.
pub(super) fn tightest() -> Option<Limit> {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    tightest_below(&own, Path::new("/sys/fs/cgroup"))
}

/// `own` is the text of `/proc/self/cgroup`.
fn tightest_below(own: &str, mount: &Path) -> Option<Limit> {
    let limits = own.lines().filter_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        match controllers {
            "" => Some(limits_up_to(mount, path, &VERSION_2)),
            _ if controllers.split(',').any(|name| name == "memory") => {
                Some(limits_up_to(&mount.join("memory"), path, &VERSION_1))
            }
            _ => None,
        }
    });
    limits.flatten().reduce(|one, other| Limit { total: one.total.min(other.total), free: one.free.min(other.free) })
}

/// The limits of a group and of those that it lies in, up to the mount. In a container the path may be that of the world
/// outside: what is not there is left out.
fn limits_up_to(mount: &Path, path: &str, names: &Names) -> Vec<Limit> {
    let group: PathBuf = mount.join(path.trim_start_matches('/'));
    group.ancestors().take_while(|folder| folder.starts_with(mount)).filter_map(|folder| limit(folder, names)).collect()
}

fn limit(folder: &Path, names: &Names) -> Option<Limit> {
    let number = |name: &str| fs::read_to_string(folder.join(name)).ok()?.trim().parse::<u64>().ok();
    let total = number(names.limit).filter(|limit| *limit < NO_LIMIT)?;
    let used = number(names.used)?;
    let stat = fs::read_to_string(folder.join("memory.stat")).unwrap_or_default();
    let of_files: u64 = names.files.iter().filter_map(|name| value(&stat, name)).sum();
    Some(Limit { total, free: total.saturating_sub(used.saturating_sub(of_files)) })
}

/// The number beside a name in `memory.stat`.
fn value(stat: &str, name: &str) -> Option<u64> {
    stat.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(folder: &Path, files: &[(&str, &str)]) {
        fs::create_dir_all(folder).unwrap();
        files.iter().for_each(|(name, text)| fs::write(folder.join(name), text).unwrap());
    }

    #[test]
    fn the_tightest_group_of_version_2_counts_without_pages_of_files() {
        let mount = tempfile::tempdir().unwrap();
        let job = mount.path().join("job");
        group(
            &job,
            &[
                ("memory.max", "4000\n"),
                ("memory.current", "3000\n"),
                ("memory.stat", "anon 500\ninactive_file 1500\nactive_file 700\n"),
            ],
        );
        group(&job.join("step"), &[("memory.max", "max\n"), ("memory.current", "100\n")]);
        let limit = tightest_below("0::/job/step\n", mount.path());
        assert_eq!(limit, Some(Limit { total: 4000, free: 3200 }));
        assert_eq!(tightest_below("0::/\n", mount.path()), None);
    }

    #[test]
    fn a_limit_of_version_1_is_found_where_the_path_is_that_of_the_world_outside() {
        let mount = tempfile::tempdir().unwrap();
        group(
            &mount.path().join("memory"),
            &[
                ("memory.limit_in_bytes", "1000\n"),
                ("memory.usage_in_bytes", "600\n"),
                ("memory.stat", "inactive_file 7\ntotal_inactive_file 100\ntotal_active_file 0\n"),
            ],
        );
        let own = "5:devices:/\n4:memory:/pods/one\n0::/\n";
        assert_eq!(tightest_below(own, mount.path()), Some(Limit { total: 1000, free: 500 }));
        group(&mount.path().join("memory"), &[("memory.limit_in_bytes", "9223372036854771712\n")]);
        assert_eq!(tightest_below(own, mount.path()), None);
    }
}
