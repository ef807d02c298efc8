//! What a run is: its configuration, cell and data, and the machine that it began on. Every checkpoint holds it, and a
//! run that goes on must still be the same.

use crate::config::RunConfig;
use crate::data::DataIdentity;
use crate::error::{Error, Result};
use crate::genotype::Genotype;
use crate::nearest::nearest;
use crate::report::Change;
use crate::tensor::bridge;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use sysinfo::{CpuRefreshKind, RefreshKind, System};
use tch::Device;

/// Keys that change nothing in what comes out.
const FREE: [&str; 4] = ["checkpoint", "data.workers", "data.batches_ahead", "on_nan"];
/// What a result says of itself: it can't change within a run. Sections, and keys.
const FIXED: [&str; 28] = [
    "task",
    "seed",
    "space",
    "network",
    "objective",
    "search.strategy",
    "search.selection",
    "search.perturbation",
    "search.mixture",
    "search.dirichlet",
    "search.partial_channels",
    "search.edge_weights",
    "search.alpha_start",
    "search.freezing",
    "search.similarity",
    "search.regularizer",
    "search.beta",
    "search.candidates",
    "search.limits",
    "search.one_shot",
    "decision",
    "model",
    "point",
    "image",
    "resgcn",
    "train.init",
    "train.freeze",
    GENOTYPE,
];
/// The name of the cell among the keys.
const GENOTYPE: &str = "genotype";
/// The name of the data's content among the keys.
const DATA: &str = "data";

/// What a run is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Identity {
    /// The resolved configuration.
    pub configuration: Value,
    /// Digest of the cell that is trained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub genotype: Option<String>,
    /// The data; absent where nothing is trained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<DataIdentity>,
    /// What it computes on.
    pub machine: BTreeMap<String, String>,
    /// Where the cell that is found is written as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub save: Option<PathBuf>,
    /// What changed since it began.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
}

/// A key that is not what it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The dotted key, `genotype` or `data`.
    pub key: String,
    /// What it was when the run began.
    pub was: String,
    /// What it is now.
    pub now: String,
}

/// The digest of a cell: of its edges, not of what else stands in its file.
pub fn digest_of_cell(genotype: &Genotype) -> String {
    let bare = Genotype { task: None, extra: serde_json::Map::new(), ..genotype.clone() };
    blake3::hash(serde_json::to_string(&bare).expect("a cell is plain data").as_bytes()).to_hex().to_string()
}

/// The configuration as JSON, without keys that are left open.
pub fn configuration(run: &impl RunConfig) -> Value {
    let table = toml::Table::try_from(run).expect("configurations are plain tables");
    serde_json::to_value(table).expect("a table is plain data")
}

/// The keys in which two configurations differ; those that change nothing in what comes out are left out.
pub fn differences(was: &Value, now: &Value) -> Vec<Difference> {
    let [was, now] = [was, now].map(|configuration| {
        let mut keys = BTreeMap::new();
        flatten("", configuration, &mut keys);
        keys
    });
    let all: std::collections::BTreeSet<&String> = was.keys().chain(now.keys()).collect();
    let told = |value: Option<&Value>| value.map_or_else(|| "absent".to_owned(), told);
    all.into_iter()
        .filter(|key| was.get(*key) != now.get(*key) && !is_one_of(key, &FREE))
        .map(|key| Difference { key: key.clone(), was: told(was.get(key)), now: told(now.get(key)) })
        .collect()
}

/// A value as people write it in a configuration.
fn told(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn flatten(prefix: &str, value: &Value, keys: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(table) => table.iter().for_each(|(name, value)| {
            let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
            flatten(&key, value, keys);
        }),
        value => drop(keys.insert(prefix.to_owned(), value.clone())),
    }
}

/// Whether a key is one of these, or in one of these sections.
fn is_one_of(key: &str, known: &[&str]) -> bool {
    known.iter().any(|known| key == *known || key.strip_prefix(known).is_some_and(|rest| rest.starts_with('.')))
}

/// The cell of a run that goes on, where it is another.
pub fn difference_of_cells(was: Option<&str>, now: Option<&str>) -> Option<Difference> {
    let short = |digest: Option<&str>| digest.map_or("none", |digest| digest.get(..12).unwrap_or(digest)).to_owned();
    (was != now).then(|| Difference { key: GENOTYPE.to_owned(), was: short(was), now: short(now) })
}

/// The data of a run that goes on, where it is other data.
pub fn difference_of_data(was: Option<&DataIdentity>, now: Option<&DataIdentity>) -> Option<Difference> {
    let (Some(was), Some(now)) = (was, now) else { return None };
    let differences = was.differences(now);
    let listed = || differences.join("; ");
    (!differences.is_empty()).then(|| Difference { key: DATA.to_owned(), was: "as it was".to_owned(), now: listed() })
}

/// Lets pass what may change and was asked to by `--resume-anyway`; gives those differences.
///
/// # Errors
/// The first differences that were not, key by key, with how to go on.
pub fn allow(found: Vec<Difference>, anyway: &[String], run: &str) -> Result<Vec<Difference>> {
    let refused: Vec<&Difference> =
        found.iter().filter(|Difference { key, .. }| is_one_of(key, &FIXED) || !anyway.contains(key)).collect();
    if refused.is_empty() {
        return Ok(found);
    }
    let told = |Difference { key, was, now }: &&Difference| match key.as_str() {
        DATA => format!("{key} ({now})"),
        _ => format!("{key} ({was}, now {now})"),
    };
    let listed: Vec<String> = refused.iter().map(told).collect();
    let message = format!("{run} began otherwise: {}", listed.join(", "));
    let fixed = refused.iter().find(|Difference { key, .. }| is_one_of(key, &FIXED));
    let hint = match fixed {
        Some(Difference { key, .. }) => {
            format!("{key} can't change within a run: leave it out or put it back, or begin another run")
        }
        None => {
            let flags: Vec<String> =
                refused.iter().map(|difference| format!("--resume-anyway {}", difference.key)).collect();
            format!("put it back, or go on all the same, which the run will tell: {}", flags.join(" "))
        }
    };
    Err(Error::usage(message).with_hint(hint))
}

/// Refuses a `--resume-anyway` that names nothing.
///
/// # Errors
/// A name that is no key of the configuration, nor `data`, with the nearest.
pub fn check_keys(anyway: &[String], configuration: &Value) -> Result<()> {
    let mut keys = BTreeMap::new();
    flatten("", configuration, &mut keys);
    let known = || keys.keys().map(String::as_str).chain([DATA, GENOTYPE]);
    let Some(unknown) = anyway.iter().find(|key| !known().any(|known| known == key.as_str())) else { return Ok(()) };
    let hint = nearest(unknown, known()).map_or_else(
        || "the run's config.toml shows all keys; `data` is the data's content".to_owned(),
        |key| format!("did you mean {key}?"),
    );
    Err(Error::usage(format!("--resume-anyway {unknown}: the run has no such key")).with_hint(hint))
}

/// What a run computes on, by name.
pub fn machine(device: Device, deterministic: bool) -> BTreeMap<String, String> {
    let system = System::new_with_specifics(RefreshKind::nothing().with_cpu(CpuRefreshKind::nothing()));
    let processor = system.cpus().first().map_or("unknown", |cpu| cpu.brand().trim());
    let device = match device {
        Device::Cuda(index) => bridge::machine::gpu(index).map_or_else(|_| format!("cuda:{index}"), |gpu| gpu.name),
        _ => "processor".to_owned(),
    };
    let named = [
        ("device", device),
        ("processor", processor.to_owned()),
        ("instructions", bridge::machine::instructions().unwrap_or_else(|_| "unknown".to_owned())),
        ("threads", tch::get_num_threads().to_string()),
        ("deterministic", deterministic.to_string()),
        ("libtorch", env!("SGAS_LIBTORCH_VERSION").to_owned()),
        ("sgas", env!("CARGO_PKG_VERSION").to_owned()),
    ];
    named.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Says what is another than when the run began: the last bits may be too.
pub fn tell_machine(was: &BTreeMap<String, String>, now: &BTreeMap<String, String>) {
    let differing = now.iter().filter(|(name, value)| was.get(*name) != Some(value));
    let told: Vec<String> = differing
        .map(|(name, value)| format!("{name} ({}, now {value})", was.get(name).map_or("unknown", String::as_str)))
        .collect();
    if !told.is_empty() {
        tracing::warn!("the run began elsewhere, so its last bits may differ from a whole one's: {}", told.join(", "));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{SearchRun, embedded_run};

    fn changed(change: impl FnOnce(&mut SearchRun)) -> Vec<Difference> {
        let was: SearchRun = embedded_run("smoke/search-points").unwrap();
        let mut now = was.clone();
        change(&mut now);
        differences(&configuration(&was), &configuration(&now))
    }

    fn keys(found: &[Difference]) -> Vec<&str> {
        found.iter().map(|difference| difference.key.as_str()).collect()
    }

    #[test]
    fn differences_are_named_key_by_key() {
        let found = changed(|run| {
            run.decision.warmup += 1;
            run.weights.learning_rate = 0.5;
        });
        assert_eq!(keys(&found), ["decision.warmup", "weights.learning_rate"]);
        assert_eq!(keys(&changed(|run| run.data.workers = 7)), <[&str; 0]>::default());
    }

    #[test]
    fn what_may_change_must_be_named_and_what_may_not_is_refused_all_the_same() {
        let rate = || changed(|run| run.weights.learning_rate = 0.5);
        let error = allow(rate(), &[], "runs/x").unwrap_err();
        assert!(error.to_string().contains("runs/x began otherwise: weights.learning_rate ("), "{error}");
        assert!(error.hint().unwrap().ends_with("--resume-anyway weights.learning_rate"), "{:?}", error.hint());
        assert_eq!(allow(rate(), &["weights.learning_rate".to_owned()], "runs/x").unwrap(), rate());
        let seed = changed(|run| run.seed += 1);
        let error = allow(seed, &["seed".to_owned()], "runs/x").unwrap_err();
        assert!(error.hint().unwrap().starts_with("seed can't change within a run"), "{:?}", error.hint());
    }

    #[test]
    fn keys_that_are_none_are_refused() {
        let run = configuration(&embedded_run::<SearchRun>("smoke/search-points").unwrap());
        check_keys(&["data".to_owned(), "search.batch".to_owned()], &run).unwrap();
        let error = check_keys(&["weights.learningrate".to_owned()], &run).unwrap_err();
        assert_eq!(error.hint(), Some("did you mean weights.learning_rate?"));
    }
}
