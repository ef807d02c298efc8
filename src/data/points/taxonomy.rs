//! ShapeNet's `taxonomy.json`, which says what the synsets are called after which its folders of classes are numbered.

use std::collections::HashMap;
use std::path::Path;

use serde::Deserialize;

use crate::data::folders::composed;
use crate::error::{Error, Result};
use crate::reading;

/// The file's usual name.
const NAME: &str = "taxonomy.json";

#[derive(Deserialize)]
struct Synset {
    #[serde(rename = "synsetId")]
    id: String,
    /// Synonyms between commas.
    name: String,
}

/// The classes with the first name of each synset in place of its number, where the folder has such a file; their order is
/// kept. Where two synsets have one name, the numbers stand behind it.
pub(super) fn named(folder: &Path, classes: Vec<String>) -> Vec<String> {
    let path = folder.join(NAME);
    if !reading::is_there(&path) {
        return classes;
    }
    match read(&path) {
        Ok(names) => with_names(classes, &names),
        Err(error) => {
            tracing::warn!("{error}: classes are called after their folders");
            classes
        }
    }
}

fn read(path: &Path) -> Result<HashMap<String, String>> {
    names(&reading::text(path, reading::LIST)?, path)
}

/// The first name of each synset in the text of such a file.
///
/// # Errors
/// What is no list of synsets.
pub(super) fn names(text: &str, path: &Path) -> Result<HashMap<String, String>> {
    let synsets: Vec<Synset> = serde_json::from_str(text).map_err(|error| {
        let expected = "a list of synsets, each with synsetId and name";
        Error::invalid(path, expected, error.to_string())
    })?;
    let first = |name: &str| composed(name.split(',').next().unwrap_or_default().trim());
    Ok(synsets.into_iter().map(|synset| (synset.id, first(&synset.name))).collect())
}

fn with_names(classes: Vec<String>, names: &HashMap<String, String>) -> Vec<String> {
    let name = |class: &String| names.get(class).filter(|name| !name.is_empty()).unwrap_or(class).clone();
    let named: Vec<String> = classes.iter().map(name).collect();
    let is_alone = |wanted: &String| named.iter().filter(|name| *name == wanted).count() == 1;
    let clear =
        |(class, name): (&String, &String)| if is_alone(name) { name.clone() } else { format!("{name} {class}") };
    classes.iter().zip(&named).map(clear).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn synsets_get_their_first_names_and_what_is_no_taxonomy_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let classes = || ["02691156", "02992529", "04401088", "mine"].map(str::to_owned).to_vec();
        assert_eq!(named(folder.path(), classes()), classes());
        let text = r#"[{"synsetId": "02691156", "name": "airplane,aeroplane,plane", "children": [], "numInstances": 3},
            {"synsetId": "02992529", "name": "telephone, cellphone"}, {"synsetId": "04401088", "name": "telephone"}]"#;
        std::fs::write(folder.path().join(NAME), text).unwrap();
        let expected = ["airplane", "telephone 02992529", "telephone 04401088", "mine"];
        assert_eq!(named(folder.path(), classes()), expected);
        std::fs::write(folder.path().join(NAME), "{}").unwrap();
        assert_eq!(named(folder.path(), classes()), classes());
    }
}
