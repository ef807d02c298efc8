//! Signals as clouds: the table of a set has a signal a row, its class first, as those of the UCR archive
//! (`NAME_TRAIN.tsv` and `NAME_TEST.tsv`). A point is the time from -1 to 1, the value, and how it changed.

use sgas::batch::{Batch, BatchKind, PointBatch};
use sgas::data::survey::Survey;
use sgas::data::{Access, DataConfig, Dataset, Family, FamilyDescription, KnownSet, LoadNeeds, Loaded, Making};
use sgas::data::{SampleKind, Samples, SetName, Source, Targets, split};
use sgas::error::{Error, Result};
use sgas::fingerprint::Fingerprint;
use sgas::reading;
use sgas::tensor::random::{Key, Purpose};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tch::Tensor;

/// What makes it known.
pub static DESCRIPTION: FamilyDescription = FamilyDescription {
    name: "signals",
    plural: "signals",
    singular: "a signal",
    targets: "signals",
    batch: BatchKind::Points,
    labels_points: false,
    draws: false,
    smallest_training_batch: 2,
    smaller: "shorter signals, ",
    numbers: ["values", "are they scaled as the training's?"],
    mend: "mend the tables",
    making: Making::NONE,
    own: &SET,
    published: &[],
    family: &Signals,
};

static SET: KnownSet = KnownSet::own("signals", SampleKind::of(&DESCRIPTION), Targets::Classes);

/// Numbers per point.
const CHANNELS: usize = 3;

struct Signals;

impl Family for Signals {
    fn layouts(&self) -> String {
        "NAME_TRAIN.tsv and NAME_TEST.tsv, a signal a row, its class first".to_owned()
    }

    fn may_hold(&self, folder: &Path, _: SetName) -> bool {
        table(folder, "_TRAIN.tsv").is_some()
    }

    fn load(&self, source: &Source, _: SetName, config: &DataConfig, needs: &LoadNeeds) -> Result<Loaded> {
        let Source::Folder(folder) = source else { return Err(Error::usage("there are no synthetic signals")) };
        let [train, test] = ["_TRAIN.tsv", "_TEST.tsv"].map(|end| read(folder, end, needs.minimum_points));
        let (train, test) = (train?, test?);
        let mut classes: Vec<String> = train.iter().map(|(class, _)| class.clone()).collect();
        classes.sort();
        classes.dedup();
        let label = |(class, values)| {
            let label =
                classes.binary_search(&class).map_err(|_| Error::invalid(class, "a class of the training", "none"));
            Ok((label?, values))
        };
        let [train, test] = [train, test].map(|rows| rows.into_iter().map(label).collect::<Result<Vec<_>>>());
        let (train, test) = (train?, test?);
        let labels: Vec<usize> = train.iter().map(|(label, _)| *label).collect();
        let marks = split::hold_out(&labels, config.validation, Key::new(needs.seed, Purpose::Split));
        let (held_out, train): (Vec<_>, Vec<_>) =
            train.into_iter().zip(marks).partition(|(_, is_held_out)| *is_held_out);
        let wrap = |rows: Vec<(usize, Vec<f32>)>| -> Arc<dyn Samples> { Arc::new(Rows(rows)) };
        let [train, held_out] = [train, held_out].map(|rows| rows.into_iter().map(|(row, _)| row).collect::<Vec<_>>());
        let dataset = Dataset {
            train: wrap(train),
            validation: (!held_out.is_empty()).then(|| wrap(held_out)),
            test: wrap(test),
            classes,
            targets: Targets::Classes,
            unit: "samples",
            channels: CHANNELS as i64,
            origin: folder.display().to_string(),
            variant: None,
        };
        Ok(Loaded { dataset, config: config.clone() })
    }

    fn survey(&self, source: &Source, config: &DataConfig, minimum_points: usize) -> Result<Survey> {
        let needs = LoadNeeds { seed: 0, minimum_points, device: tch::Device::Cpu };
        let whole = DataConfig { validation: 0.0, ..config.clone() };
        Ok(Survey::of(&self.load(source, &SET, &whole, &needs)?.dataset, "tables of signals"))
    }
}

/// The table with this end of its name.
fn table(folder: &Path, end: &str) -> Option<PathBuf> {
    let paths = std::fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
    paths.filter(|path| path.to_string_lossy().ends_with(end)).min()
}

/// Class and values of every row; all are of one length.
fn read(folder: &Path, end: &str, least: usize) -> Result<Vec<(String, Vec<f32>)>> {
    let place = folder.join(format!("*{end}")).display().to_string();
    let path = table(folder, end).ok_or_else(|| Error::invalid(place, "a table", "none"))?;
    let text = reading::text(&path, reading::LIST)?;
    let mut rows: Vec<(String, Vec<f32>)> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let place = || format!("{}, line {}", path.display(), number + 1);
        let (class, values) =
            line.split_once('\t').ok_or_else(|| Error::invalid(place(), "a class and values", "less"))?;
        let number = |word: &str| word.trim().parse().ok().filter(|value: &f32| value.is_finite());
        let values: Option<Vec<f32>> = values.split('\t').map(number).collect();
        let length = rows.first().map_or(least, |(_, values)| values.len());
        let fits = |values: &Vec<f32>| values.len() == length || rows.is_empty() && values.len() >= length;
        let values =
            values.filter(fits).ok_or_else(|| Error::invalid(place(), format!("{length} numbers"), "others"))?;
        rows.push((class.trim().to_owned(), values));
    }
    if rows.is_empty() { Err(Error::invalid(path.display().to_string(), "a signal a row", "none")) } else { Ok(rows) }
}

/// Class and values of each signal.
struct Rows(Vec<(usize, Vec<f32>)>);

impl Samples for Rows {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn name(&self, _: usize) -> &str {
        "a row of the table"
    }

    fn label(&self, index: usize) -> Option<usize> {
        Some(self.0[index].0)
    }

    fn fingerprint(&self, fingerprint: &mut Fingerprint) -> Result<()> {
        self.0.iter().for_each(|(_, values)| fingerprint.numbers(values));
        Ok(())
    }

    fn batch(&self, indices: &[usize], _: Access) -> Result<Batch> {
        let length = self.0[0].1.len();
        let mut points = Vec::with_capacity(indices.len() * length * CHANNELS);
        for values in indices.iter().map(|index| &self.0[*index].1) {
            for (at, value) in values.iter().enumerate() {
                let before = values[at.saturating_sub(1)];
                points.extend([2.0 * at as f32 / length as f32 - 1.0, *value, value - before]);
            }
        }
        let shape = [indices.len(), length, CHANNELS].map(|size| size as i64);
        let labels: Vec<i64> = indices.iter().map(|index| self.0[*index].0 as i64).collect();
        let points = Tensor::from_slice(&points).view(shape);
        Ok(Batch::Points(PointBatch { points, labels: Tensor::from_slice(&labels) }))
    }
}
