//! What a file of weights says of its own network, where this program or its Python package wrote it: the task, the cell,
//! the sizes, the names of the classes. With it a file needs no `--genotype`, `--task` or `--config`.

use super::identity::digest_of_cell;
use crate::config::TrainRun;
use crate::data::Targets;
use crate::error::{Error, Result};
use crate::genotype::Genotype;
use crate::model::{HandDesigned, NetworkKind};
use serde_json::{Map, Value, json};
use toml::Table;

/// Sections and keys of a configuration that say how a network is built.
const OF_NETWORK: [&str; 7] = ["network", "model", "point", "image", "graph", "nas_bench_graph", "resgcn"];
/// The others that a network's own configuration has: what its samples are, how they are drawn, how many at once.
const OF_SAMPLES: [&str; 4] = ["task", "data", "seed", "train"];
/// The key of `[train]` among them.
const BATCH: &str = "batch";
/// Keys of `[data]` that name places of one machine, or how it works.
const OF_MACHINE: [&str; 6] = ["source", "train_list", "test_list", "workers", "batches_ahead", "skip_bad"];
/// Keys of `[data]` that say what samples are like when a network sees them.
const OF_PREPARATION: [&str; 3] = ["points", "features", "normalize"];
/// The same of `[data.images]`.
const OF_IMAGES: [&str; 3] = ["size", "mean", "deviation"];

/// What a file says.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// The task that its network was trained for.
    pub task: String,
    /// The cell; absent for a hand-designed network.
    pub genotype: Option<Genotype>,
    /// Names of the classes in the order of the outputs; none where nobody wrote them down.
    pub classes: Vec<String>,
    /// What its data was labelled with, where the file says it.
    pub targets: Option<Targets>,
    /// The data of its training in words.
    pub trained_on: Option<String>,
    /// The hand-designed network.
    network: Option<HandDesigned>,
    config: Table,
}

/// What a file is to say of the network of this run.
pub fn of_network(
    run: &TrainRun,
    genotype: Option<&Genotype>,
    kind: NetworkKind,
    targets: Targets,
) -> Map<String, Value> {
    let config = own(toml::Table::try_from(run).expect("configurations are plain tables"));
    let genotype = genotype.map(|genotype| serde_json::to_string(genotype).expect("a cell is plain data"));
    let facts = json!({
        "task": run.task,
        "network": kind.name(),
        "genotype": genotype.unwrap_or_default(),
        "targets": targets,
        "config": serde_json::to_string(&config).expect("a table is plain data"),
    });
    let Value::Object(facts) = facts else { unreachable!("an object was made") };
    facts
}

/// What of a configuration belongs to a network and its samples.
fn own(mut config: Table) -> Table {
    config.retain(|name, _| OF_NETWORK.contains(&name) || OF_SAMPLES.contains(&name));
    if let Some(data) = config.get_mut("data").and_then(toml::Value::as_table_mut) {
        data.retain(|name, _| !OF_MACHINE.contains(&name));
    }
    if let Some(train) = config.get_mut("train").and_then(toml::Value::as_table_mut) {
        train.retain(|name, _| name == BATCH);
    }
    config
}

impl Facts {
    /// Those in the metadata of a file, which `place` names; absent where it says nothing.
    ///
    /// # Errors
    /// A cell or configuration of another form.
    pub fn read(metadata: &Value, place: &str) -> Result<Option<Self>> {
        let (Some(task), Some(genotype)) = (metadata["task"].as_str(), metadata.get("genotype")) else {
            return Ok(None);
        };
        let origin = format!("{place}: its genotype");
        let genotype = match genotype {
            Value::String(text) if !text.is_empty() => Some(Genotype::from_json(text, &origin)?),
            Value::Object(_) => Some(Genotype::from_json(&genotype.to_string(), &origin)?),
            _ => None,
        };
        let config = metadata["config"].as_str().map_or(Ok(Table::new()), |text| {
            serde_json::from_str(text).map_err(|error| {
                Error::invalid(format!("{place}: its configuration"), "tables of keys as JSON", error.to_string())
            })
        })?;
        let names = metadata["classes"].as_array().map_or(&[][..], Vec::as_slice);
        Ok(Some(Self {
            task: task.to_owned(),
            genotype,
            classes: names.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            targets: serde_json::from_value(metadata["targets"].clone()).ok(),
            trained_on: metadata["trained_on"].as_str().filter(|text| !text.is_empty()).map(str::to_owned),
            network: metadata["network"].as_str().and_then(HandDesigned::named),
            config: own(config),
        }))
    }

    /// The kind of network.
    pub fn kind(&self) -> Option<NetworkKind> {
        let cells = self.genotype.as_ref().map(|genotype| NetworkKind::Cells(genotype.space));
        cells.or(self.network.map(NetworkKind::HandDesigned))
    }

    /// The configuration of the network and its samples as TOML; absent of files that do not have it.
    pub fn configuration(&self) -> Option<String> {
        (!self.config.is_empty()).then(|| text(&self.config))
    }

    /// What of it says how the network is built and what its samples are like, for another training to start from.
    pub fn sizes(&self) -> String {
        let mut config = self.config.clone();
        config.retain(|name, _| OF_NETWORK.contains(&name) || name == "data");
        if let Some(data) = config.get_mut("data").and_then(toml::Value::as_table_mut) {
            data.retain(|name, _| OF_PREPARATION.contains(&name) || name == "images");
            if let Some(images) = data.get_mut("images").and_then(toml::Value::as_table_mut) {
                images.retain(|name, _| OF_IMAGES.contains(&name));
            }
        }
        text(&config)
    }

    /// Refuses a cell that is named beside a file with another one.
    ///
    /// # Errors
    /// Another cell, or one for a hand-designed network; `typed` is what names it, `place` the file.
    pub fn require_cell(&self, typed: &str, cell: &Genotype, place: &str) -> Result<()> {
        let is_same = |own: &Genotype| digest_of_cell(own) == digest_of_cell(cell);
        let found = match (&self.genotype, self.network) {
            (Some(own), _) if is_same(own) => return Ok(()),
            (Some(_), _) => "another cell".to_owned(),
            (None, Some(network)) => format!("a hand-designed network, {}", network.name()),
            (None, None) => return Ok(()),
        };
        Err(Error::usage(format!("--genotype {typed}: the weights in {place} are of {found}"))
            .with_hint("the file says which cell it is of: leave --genotype out"))
    }

    /// Refuses another task than the file's; `flag` is what names it, `place` the file.
    ///
    /// # Errors
    /// Another task.
    pub fn require_task(&self, flag: &str, task: &str, place: &str) -> Result<()> {
        if task == self.task {
            return Ok(());
        }
        let name = flag.split(' ').next().unwrap_or(flag);
        Err(Error::usage(format!(
            "{flag}: the task is {task}, and the weights in {place} were trained for {}",
            self.task
        ))
        .with_hint(format!("the file says its task: leave {name} out, or train them for {task}: sgas train --init")))
    }
}

fn text(table: &Table) -> String {
    toml::to_string(table).expect("a table is plain data")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, embedded_run};

    const CELL: &str = r#"{"space": "graph", "normal": [["gat", 0], ["gin", 1]], "normal_concat": [2]}"#;

    fn facts(genotype: Option<&str>, network: NetworkKind) -> Facts {
        let mut run: TrainRun = embedded_run("smoke/train-graphs").unwrap();
        run.data.source = Some("/home/me/graphs".to_owned());
        let genotype = genotype.map(|text| Genotype::from_json(text, "cell").unwrap());
        let metadata = of_network(&run, genotype.as_ref(), network, Targets::Labels);
        assert!(!metadata["config"].as_str().unwrap().contains("/home"));
        Facts::read(&metadata.into(), "w.safetensors").unwrap().unwrap()
    }

    #[test]
    fn a_file_says_what_its_network_is() {
        let genotype = Genotype::from_json(CELL, "cell").unwrap();
        let facts = facts(Some(CELL), NetworkKind::Cells(genotype.space));
        assert_eq!((&*facts.task, facts.genotype.as_ref()), ("graphs", Some(&genotype)));
        assert_eq!((facts.targets, facts.kind()), (Some(Targets::Labels), Some(NetworkKind::Cells(genotype.space))));
        let expected: TrainRun = embedded_run("smoke/train-graphs").unwrap();
        let found: TrainRun = config::parse("w", &facts.configuration().unwrap(), &[]).unwrap();
        assert_eq!(
            (found.model, found.graph, found.data.points),
            (expected.model, expected.graph, expected.data.points)
        );
        let sizes: Table = facts.sizes().parse().unwrap();
        assert!(sizes.contains_key("model") && !sizes.contains_key("task") && !sizes.contains_key("train"));
        assert!(sizes["data"].get("validation").is_none());
    }

    #[test]
    fn contradictions_are_told() {
        let own = Genotype::from_json(CELL, "cell").unwrap();
        let other = Genotype::from_json(&CELL.replace("\"gin\", 1", "\"gin\", 0"), "cell").unwrap();
        let of_cell = facts(Some(CELL), NetworkKind::Cells(own.space));
        of_cell.require_cell("cell.json", &own, "w").unwrap();
        of_cell.require_task("--task graphs", "graphs", "w").unwrap();
        let error = of_cell.require_cell("cell.json", &other, "w").unwrap_err();
        assert_eq!(error.to_string(), "--genotype cell.json: the weights in w are of another cell");
        let error = of_cell.require_task("--task ppi", "ppi", "w").unwrap_err();
        assert_eq!(error.to_string(), "--task ppi: the task is ppi, and the weights in w were trained for graphs");
        assert!(error.hint().unwrap().contains("leave --task out") && error.exit_code() == 2);
        let gcn = facts(None, NetworkKind::HandDesigned(HandDesigned::named("gcn").unwrap()));
        assert!(
            gcn.require_cell("cell.json", &own, "w").unwrap_err().to_string().ends_with("hand-designed network, gcn")
        );
    }

    #[test]
    fn files_of_others_say_nothing_and_wrong_ones_are_told() {
        for metadata in [Value::Null, json!({"epoch": 3}), json!({"task": "ppi"}), json!({"task": 3, "genotype": ""})] {
            assert_eq!(Facts::read(&metadata, "w").unwrap(), None);
        }
        let read = |genotype: &str, config: &str| {
            let metadata = json!({"task": "graphs", "genotype": genotype, "config": config});
            Facts::read(&metadata, "w.pt").unwrap_err().to_string()
        };
        assert!(read("{", "{}").starts_with("w.pt: its genotype"), "{}", read("{", "{}"));
        assert!(read("", "[1]").starts_with("w.pt: its configuration: expected tables of keys as JSON"));
        assert!(read("", &"{\"a\":".repeat(100_000)).starts_with("w.pt: its configuration"));
    }
}
