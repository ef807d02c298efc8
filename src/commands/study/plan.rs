//! The plan of a study: methods, seeds, and the flags of their searches and trainings.

use super::flags::{self, Flags};
use crate::commands::{cell, options::TrainOptions};
use crate::error::{Error, Result};
use crate::nearest;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Seeds and methods that a plan may have at most, each.
const MOST: usize = 10_000;

/// A plan as it is written; docs/studies.md says what each key means.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    title: String,
    seeds: Seeds,
    #[serde(default)]
    note: Option<String>,
    #[serde(default)]
    score: Option<String>,
    #[serde(default)]
    search: Flags,
    #[serde(default)]
    train: Option<Flags>,
    #[serde(default)]
    truth: Option<Truth>,
    #[serde(default, rename = "method")]
    methods: Vec<WrittenMethod>,
    #[serde(default)]
    published: Vec<Published>,
}

/// How many, from 1 on, or which.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Seeds {
    Count(u64),
    Named(Vec<u64>),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenMethod {
    name: String,
    #[serde(default)]
    search: Option<Part>,
    #[serde(default)]
    train: Option<Part>,
    #[serde(default)]
    genotype: Option<String>,
}

/// Flags over the common ones, or `false` for none of it.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Part {
    Flags(Flags),
    Wanted(bool),
}

/// A published table that knows what found cells score, in place of trainings.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Truth {
    /// The file.
    pub table: PathBuf,
    /// The data set of the table, where it has several.
    #[serde(default)]
    pub on: Option<String>,
}

/// A published result, to stand beside those of the study.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// What it is of.
    pub name: String,
    /// The mean score, or the only one, in per cent.
    #[serde(default)]
    pub score: Option<f64>,
    /// Its deviation, in points.
    #[serde(default)]
    pub deviation: Option<f64>,
    /// Of how many.
    #[serde(default)]
    pub n: Option<usize>,
    /// The best one, in per cent.
    #[serde(default)]
    pub best: Option<f64>,
    /// Weights of the network, in millions.
    #[serde(default)]
    pub parameters: Option<f64>,
    /// Of a search, in GPU days.
    #[serde(default)]
    pub search_days: Option<f64>,
}

/// A plan whose flags are known to be right.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What it is called.
    pub title: String,
    /// What stands under its tables.
    pub note: Option<String>,
    /// The score that is compared, as `sgas eval --json` names it.
    pub score: Option<String>,
    /// What is compared, in the order of the plan.
    pub methods: Vec<String>,
    /// Where found cells are looked up.
    pub truth: Option<Truth>,
    /// What was published.
    pub published: Vec<Published>,
    /// Every search with its training, seed by seed.
    pub units: Vec<Unit>,
}

/// One method with one seed: what is done for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// Index of its method.
    pub method: usize,
    /// Its seed.
    pub seed: u64,
    /// Its name, and its folder in that of the study: `sgas-1/s3`.
    pub name: String,
    /// The flags of its search, if it has one.
    pub search: Option<Vec<String>>,
    /// The flags of its training, if it has one; of the cell that the search found, where there is a search.
    pub train: Option<Vec<String>>,
}

/// The flags of a method.
#[derive(Debug, Clone)]
struct Parts {
    search: Option<Vec<String>>,
    train: Option<Vec<String>>,
}

impl Plan {
    /// The plan in a text that errors call `place`.
    ///
    /// # Errors
    /// What is no plan; flags that `sgas search` and `sgas train` would refuse, with the method they stand at.
    pub fn parse(place: &str, text: &str) -> Result<Self> {
        let written: Written = toml::from_str(text).map_err(|error| {
            Error::invalid(place, "the plan of a study", error.to_string().trim_end().to_owned())
                .with_hint("docs/studies.md says how a plan is written")
        })?;
        let seeds = seeds(place, &written.seeds)?;
        if written.methods.is_empty() || written.methods.len() > MOST {
            let expected = format!("1 to {MOST} [[method]] tables");
            return Err(Error::invalid(place, expected, written.methods.len().to_string()));
        }
        let slugs: Vec<String> = written.methods.iter().map(|method| slug(&method.name)).collect();
        for (index, (slug, method)) in slugs.iter().zip(&written.methods).enumerate() {
            if slug.is_empty() || slugs[..index].contains(slug) {
                let expected = "names with letters or digits, no two of which make the same folder";
                return Err(Error::invalid(format!("{place}: method.name"), expected, format!("'{}'", method.name)));
            }
        }
        let parts: Vec<Parts> =
            written.methods.iter().map(|method| written.parts(place, method)).collect::<Result<_>>()?;
        let unit = |seed: u64, method: usize| {
            let Parts { search, train } = parts[method].clone();
            Unit { method, seed, name: format!("{}/s{seed}", slugs[method]), search, train }
        };
        let units = seeds.iter().flat_map(|seed| (0..parts.len()).map(move |method| (*seed, method)));
        let units = units.map(|(seed, method)| unit(seed, method)).collect();
        let Written { title, note, score, truth, published, .. } = written.clone();
        let methods = written.methods.into_iter().map(|method| method.name).collect();
        Ok(Self { title, note, score, methods, truth, published, units })
    }

    /// The units that `names` name; all where none is named.
    ///
    /// # Errors
    /// A name that none has, with the nearest.
    pub fn chosen(&self, names: &[String]) -> Result<Vec<&Unit>> {
        let known: Vec<&str> = self.units.iter().map(|unit| unit.name.as_str()).collect();
        if let Some(wrong) = names.iter().find(|name| !known.contains(&name.as_str())) {
            return Err(Error::usage(format!("--only {wrong}: the plan has no such run"))
                .with_hint(nearest::hint(wrong, &known)));
        }
        let is_chosen = |unit: &&Unit| names.is_empty() || names.contains(&unit.name);
        Ok(self.units.iter().filter(is_chosen).collect())
    }
}

impl Written {
    /// The flags of a method's search and training, once they are known to be right.
    fn parts(&self, place: &str, method: &WrittenMethod) -> Result<Parts> {
        let at = |part: &str| format!("{place}: the {part} of '{}'", method.name);
        let over = |common: Option<&Flags>, own: Option<&Part>| match own {
            Some(Part::Wanted(false)) => None,
            Some(Part::Wanted(true)) | None => common.cloned(),
            Some(Part::Flags(own)) => Some(flags::over(common, own)),
        };
        let mut train = over(self.train.as_ref(), method.train.as_ref());
        let wants = |flags: &Flags| flags.get("model").is_some() || flags.get("baseline") == Some(&true.into());
        let has_network = train.as_ref().is_some_and(wants) || method.genotype.is_some();
        if let (Some(_), Some(Part::Flags(_) | Part::Wanted(true))) = (&method.genotype, &method.search) {
            return Err(Error::usage(format!("{}: its cell is named already", at("search"))));
        }
        if let (Some(train), Some(genotype)) = (train.as_mut(), &method.genotype) {
            train.insert("genotype".to_owned(), genotype.as_str().into());
        }
        let search = over(Some(&self.search), method.search.as_ref()).filter(|_| !has_network);
        let (mut task, mut space) = (None, None);
        let search = match search {
            None => None,
            Some(search) => {
                let (words, options) = flags::search(&at("search"), &search)?;
                let run = options.resolve(None, None).map_err(|error| placed(error, &at("search")))?;
                (task, space) = (Some(run.task.clone()), Some(run.space().name()));
                Some(words)
            }
        };
        if let Some(genotype) = &method.genotype {
            let named = cell::load(genotype, None).map_err(|error| placed(error, &at("genotype")))?;
            (task, space) = (named.task, Some(named.genotype.space.name()));
        }
        let train = match train {
            None => None,
            Some(train) => {
                let (words, options): (_, TrainOptions) = flags::train(&at("training"), &train)?;
                if search.is_none() && options.genotype.is_none() && !has_network {
                    let message = format!("{}: of which cell? It has no search", at("training"));
                    return Err(Error::usage(message).with_hint("name a genotype, or train.model or train.baseline"));
                }
                let resolved = options.resolve(task.as_deref(), space, None, None, None);
                resolved.map_err(|error| placed(error, &at("training")))?;
                Some(words)
            }
        };
        if search.is_none() && train.is_none() {
            return Err(Error::usage(format!("{place}: '{}' neither searches nor trains", method.name)));
        }
        Ok(Parts { search, train })
    }
}

/// The same error, with where in the plan it stands.
fn placed(error: Error, at: &str) -> Error {
    let hint = error.hint().map(str::to_owned);
    let placed = Error::usage(format!("{at}: {error}"));
    hint.map_or_else(|| Error::usage(format!("{at}: {error}")), |hint| placed.with_hint(hint))
}

fn seeds(place: &str, written: &Seeds) -> Result<Vec<u64>> {
    let place = format!("{place}: seeds");
    let seeds: Vec<u64> = match written {
        Seeds::Count(count) if (1..=MOST as u64).contains(count) => (1..=*count).collect(),
        Seeds::Count(count) => return Err(Error::invalid(place, format!("1 to {MOST}"), count.to_string())),
        Seeds::Named(seeds) => seeds.clone(),
    };
    let different: BTreeSet<u64> = seeds.iter().copied().collect();
    if seeds.is_empty() || seeds.len() > MOST || different.len() < seeds.len() {
        return Err(Error::invalid(place, format!("a number, or 1 to {MOST} different ones"), format!("{seeds:?}")));
    }
    match different.last() {
        Some(greatest) if *greatest > i64::MAX as u64 => {
            Err(Error::invalid(place, "seeds below 2^63", greatest.to_string()))
        }
        _ => Ok(seeds),
    }
}

/// A name as that of a folder: small letters and digits, between them dots and hyphens.
fn slug(name: &str) -> String {
    let kept = |letter: char| if letter.is_alphanumeric() || letter == '.' { letter } else { '-' };
    let words: String = name.to_lowercase().chars().map(kept).collect();
    let parts: Vec<&str> = words.split('-').filter(|part| !part.is_empty()).collect();
    parts.join("-").trim_matches(['.', '-']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::embedded;

    const PLAN: &str = r#"
title = "Criteria"
seeds = 2
[search]
config = "smoke/search-graphs"
data = "synthetic"
set = ["search.epochs=3"]
[train]
config = "smoke/train-graphs"
data = "synthetic"
[[method]]
name = "SGAS (criterion 1)"
search = { criterion = 1 }
[[method]]
name = "Random"
search = { strategy = "random", set = ["decision.warmup=1"] }
train = false
[[method]]
name = "GCN"
search = false
train = { baseline = true }
"#;

    #[test]
    fn units_go_seed_by_seed_with_common_flags_below_their_own() {
        let plan = Plan::parse("plan.toml", PLAN).unwrap();
        let names: Vec<&str> = plan.units.iter().map(|unit| unit.name.as_str()).collect();
        let all = ["sgas-criterion-1/s1", "random/s1", "gcn/s1", "sgas-criterion-1/s2", "random/s2", "gcn/s2"];
        assert_eq!(names, all);
        let random = &plan.units[1];
        let expected = [
            "--config=smoke/search-graphs",
            "--data=synthetic",
            "--set=search.epochs=3",
            "--set=decision.warmup=1",
            "--strategy=random",
        ];
        assert_eq!(random.search.as_ref().unwrap(), &expected);
        assert_eq!(random.train, None);
        let baseline = ["--baseline", "--config=smoke/train-graphs", "--data=synthetic"];
        assert_eq!(
            (plan.units[2].search.is_none(), plan.units[2].train.as_ref().unwrap()),
            (true, &baseline.map(String::from).to_vec())
        );
        assert_eq!(plan.chosen(&["random/s2".to_owned()]).unwrap().len(), 1);
        let error = plan.chosen(&["random/s3".to_owned()]).unwrap_err();
        assert!(error.hint().unwrap().contains("random/s1"), "{error:?}");
    }

    #[test]
    fn a_wrong_plan_says_what_and_where() {
        let refused = |from: &str, to: &str| {
            let text = PLAN.replacen(from, to, 1);
            assert_ne!(text, PLAN, "{from}");
            let error = Plan::parse("plan.toml", &text).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            error.to_string()
        };
        let error = refused("criterion = 1", "criterio = 1");
        assert!(
            error.contains("plan.toml: the search of 'SGAS (criterion 1)'") && error.contains("--criterio"),
            "{error}"
        );
        let error = refused("criterion = 1", "criterion = 3");
        assert!(error.contains("the search of 'SGAS (criterion 1)': ") && error.contains('3'), "{error}");
        assert!(refused("search.epochs=3", "search.epoch=3").contains("search.epoch"));
        assert!(refused("criterion = 1", "seed = 1").contains("the study itself sets --seed"));
        assert!(refused("baseline = true", "baseline = false").contains("of which cell?"));
        assert!(refused("\"Random\"", "\"sgas: criterion 1\"").contains("no two of which make the same folder"));
        assert!(refused("seeds = 2", "seeds = 0").contains("seeds"));
        assert!(refused("seeds = 2", "seeds = [1, 1]").contains("different"));
        assert!(refused("title", "titel").contains("titel"));
    }

    #[test]
    fn built_in_plans_are_right() {
        let plans = embedded::CONFIGS.iter().filter(|(name, _)| name.starts_with("study/"));
        let counts: Vec<usize> = plans.map(|(name, text)| Plan::parse(name, text).unwrap().units.len()).collect();
        assert_eq!(counts, [40, 20, 6, 6, 40, 20, 40, 20]);
    }

    #[test]
    fn names_become_folders() {
        for (name, folder) in [("SGAS (Cri. 1)", "sgas-cri.-1"), ("../..", ""), ("β-DARTS", "β-darts"), ("a/b", "a-b")]
        {
            assert_eq!(slug(name), folder);
        }
    }
}
