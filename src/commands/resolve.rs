//! From options to the configuration of a run: a file, name or task, and what was typed over it.

use super::options::{AreaChoice, BatchChoice, RunOptions, SearchOptions, TrainOptions, TrainedOptions};
use crate::config::{self, Flag, RunConfig, SearchRun, Sources, TrainRun, tasks};
use crate::data::VARIANTS;
use crate::data::scenes::S3DIS;
use crate::error::{Error, Result};

impl RunOptions {
    /// The keys that this run's own flags set; `section` owns the batch size.
    fn flags(&self, section: &str) -> Result<Vec<Flag>> {
        let mut flags = Vec::new();
        if let Some(data) = &self.data {
            flags.push(data_flag(data)?);
        }
        if let Some(seed) = self.seed {
            flags.push(Flag::new("--seed", "seed", whole(seed)));
        }
        if let Some(on_nan) = &self.on_nan {
            flags.push(Flag::new("--on-nan", "on_nan", on_nan.as_str()));
        }
        if self.sync_batch_norm {
            flags.push(Flag::new("--sync-batch-norm", "sync_batch_norm", true));
        }
        if let Some(objective) = &self.objective {
            flags.push(Flag::new("--objective", "objective", objective.as_str()));
        }
        // What `auto` comes to is decided when the data is there.
        if let Some(BatchChoice::Of(batch)) = self.batch {
            flags.push(Flag::new("--batch", format!("{section}.batch"), whole(batch)));
        }
        if self.skip_bad {
            flags.push(skip_bad_flag());
        }
        Ok(flags)
    }

    fn resolve<R: RunConfig>(
        &self,
        task: Option<&str>,
        space: Option<&str>,
        mut more: Vec<Flag>,
        begun: Option<&Begun<R>>,
        variant: Option<&str>,
        sizes: Option<(&str, &str)>,
    ) -> Result<R> {
        let mut flags = self.flags(R::COMMAND)?;
        flags.append(&mut more);
        let text = begun.map(|Begun { origin, run }| (origin.as_str(), run.to_toml()));
        let begun = text.as_ref().map(|(origin, text)| (*origin, text.as_str()));
        let config = self.config.as_deref();
        config::resolve(&Sources { begun, config, task, space, variant, sizes, set: &self.set, flags: &flags })
    }
}

/// A run by the usual recipe; where that does not take what was typed, by the first variant that does, with the error of the
/// usual one, which stands where the data turns out to suit no variant.
///
/// # Errors
/// That of the usual recipe, where no variant takes it either.
pub fn by_some_recipe<R>(typed: impl Fn(Option<&str>) -> Result<R>) -> Result<(R, Option<Error>)> {
    match typed(None) {
        Ok(run) => Ok((run, None)),
        Err(error) => match VARIANTS.iter().find_map(|variant| typed(Some(variant)).ok()) {
            Some(run) => Ok((run, Some(error))),
            None => Err(error),
        },
    }
}

/// The configuration that a run to go on with has.
pub struct Begun<R> {
    /// Where it stands, for errors.
    pub origin: String,
    /// What it is.
    pub run: R,
}

impl SearchOptions {
    /// The search that these options ask for, or ask to go on with, by a variant of its recipe where one is named.
    ///
    /// # Errors
    /// See [`config::resolve`].
    pub fn resolve(&self, begun: Option<&Begun<SearchRun>>, variant: Option<&str>) -> Result<SearchRun> {
        let mut flags = Vec::new();
        if let Some(criterion) = self.criterion {
            flags.push(Flag::new("--criterion", "decision.criterion", criterion));
        }
        if let Some(space) = &self.space {
            flags.push(Flag::new("--space", "space", space.as_str()));
        }
        if let Some(strategy) = &self.strategy {
            flags.push(Flag::new("--strategy", "search.strategy", strategy.as_str()));
        }
        if let Some(selection) = &self.selection {
            flags.push(Flag::new("--selection", "search.selection", selection.as_str()));
        }
        if let Some(mixture) = &self.mixture {
            flags.push(Flag::new("--mixture", "search.mixture", mixture.as_str()));
        }
        if let Some(parts) = self.partial_channels {
            let parts = i64::try_from(parts).unwrap_or(i64::MAX);
            flags.push(Flag::new("--partial-channels", "search.partial_channels", parts));
        }
        if self.edge_weights {
            flags.push(Flag::new("--edge-weights", "search.edge_weights", true));
        }
        if let Some(freezing) = &self.freezing {
            flags.push(Flag::new("--freezing", "search.freezing", freezing.as_str()));
        }
        if let Some(regularizer) = &self.regularizer {
            flags.push(Flag::new("--regularizer", "search.regularizer", regularizer.as_str()));
        }
        if let Some(most) = self.max_params {
            flags.push(Flag::new("--max-params", "search.limits.params", whole(most)));
        }
        if let Some(most) = self.max_macs {
            flags.push(Flag::new("--max-macs", "search.limits.macs", whole(most)));
        }
        if let Some(order) = self.order {
            flags.push(Flag::new("--order", "search.order", i64::from(order)));
        }
        self.run.resolve(self.run.task.as_deref(), self.space.as_deref(), flags, begun, variant, None)
    }
}

impl TrainOptions {
    /// The training that these options ask for, or ask to go on with; `fallback` is the task where neither a flag nor a
    /// file names one, if anything else does, `space` that of the cell, `variant` that of its recipe where one is named,
    /// `sizes` those of the weights that it starts from, by their file and as TOML, where they say them.
    ///
    /// # Errors
    /// See [`config::resolve`].
    pub fn resolve(
        &self,
        fallback: Option<&str>,
        space: Option<&str>,
        begun: Option<&Begun<TrainRun>>,
        variant: Option<&str>,
        sizes: Option<(&str, &str)>,
    ) -> Result<TrainRun> {
        let named = self.run.config.is_some() || begun.is_some();
        let task = self.run.task.as_deref().or(if named { None } else { fallback });
        let area = match self.area {
            Some(AreaChoice::One(area)) => Some(Flag::new("--area", "data.scenes.area", i64::from(area))),
            Some(AreaChoice::All) | None => None,
        };
        let mut flags: Vec<Flag> = area.into_iter().collect();
        if let Some(init) = &self.init {
            // Absolute, so that the run says the same from anywhere.
            let path = std::path::absolute(init).map_err(|source| Error::read(init, source))?;
            flags.push(Flag::new("--init", "train.init", path.display().to_string()));
        }
        if !self.freeze.is_empty() {
            flags.push(Flag::new("--freeze", "train.freeze", self.freeze.clone()));
        }
        let run: TrainRun = self.run.resolve(task, space, flags, begun, variant, sizes)?;
        if self.area.is_some() && tasks::find(&run.task)?.set != &S3DIS {
            let message = format!("--area is for the areas of S3DIS, and the task is {}", run.task);
            return Err(Error::usage(message).with_hint("leave --area out, or name --task s3dis"));
        }
        Ok(run)
    }
}

impl TrainedOptions {
    /// The configuration of the network: `begun`, that of its run or file by its name and text, else a file, name or
    /// task; over it what was typed, and `data`, where other data is asked for.
    ///
    /// # Errors
    /// See [`config::resolve`].
    pub fn resolve(&self, begun: Option<(&str, &str)>, data: Option<&str>) -> Result<TrainRun> {
        let mut flags = Vec::new();
        if let Some(data) = data {
            flags.push(data_flag(data)?);
        }
        if self.skip_bad {
            flags.push(skip_bad_flag());
        }
        let (config, task, set) = (self.config.as_deref(), self.task.as_deref(), &self.set);
        let config = config.filter(|_| begun.is_none());
        config::resolve(&Sources { begun, config, task, set, flags: &flags, ..Sources::default() })
    }
}

/// `--data`: a folder is kept as an absolute path, so that the run can be evaluated from anywhere.
fn data_flag(typed: &str) -> Result<Flag> {
    let source = match typed {
        "synthetic" => typed.to_owned(),
        folder => std::path::absolute(folder).map_err(|source| Error::read(folder, source))?.display().to_string(),
    };
    Ok(Flag::new("--data", "data.source", source))
}

fn skip_bad_flag() -> Flag {
    Flag::new("--skip-bad", "data.skip_bad", true)
}

/// TOML's whole numbers end at 2^63 - 1; `cli` admits no greater.
fn whole(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}
