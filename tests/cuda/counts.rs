//! What the stand-in counted (`stand_in/counts.cpp`), read back.

use std::collections::BTreeMap;
use std::path::Path;

/// Calls of operators between two points at which the program waited for the device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// What the device was given to do.
    pub operators: BTreeMap<String, u64>,
    /// What the program stood still for, until the device was done.
    pub waits: BTreeMap<String, u64>,
    /// Tensors over the memory of others, which cost nothing.
    pub views: BTreeMap<String, u64>,
    /// The point that ends it: `synchronize` or `exit`.
    pub up_to: String,
    /// The most bytes that the device held so far.
    pub peak_bytes: u64,
}

impl Counts {
    /// Work for the device, whether the program waits for it or not.
    pub fn calls(&self) -> u64 {
        self.operators.values().chain(self.waits.values()).sum()
    }

    /// How often the program stood still.
    pub fn stops(&self) -> u64 {
        self.waits.values().sum()
    }
}

/// All counts of a process, in order.
pub fn read(path: &Path) -> Vec<Counts> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut all = Vec::new();
    let mut current = Counts::default();
    for line in text.lines() {
        let [what, name, first, second] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let number = |text: &str| text.parse::<u64>().unwrap_or_else(|_| panic!("{line}"));
        let kept = match what {
            "operator" => &mut current.operators,
            "wait" => &mut current.waits,
            "view" => &mut current.views,
            "at" => {
                current.up_to = name.to_owned();
                current.peak_bytes = number(second);
                all.push(std::mem::take(&mut current));
                continue;
            }
            other => panic!("{other}: {line}"),
        };
        kept.insert(name.to_owned(), number(first));
    }
    all
}
