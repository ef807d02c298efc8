//! What a set of pictures holds: sizes, colours, and every picture that won't do.
//!
//! Every picture is decoded, because a run would meet one that is cut only when it comes to it.

use std::collections::BTreeMap;
use std::path::Path;

use rayon::prelude::*;
use serde::Serialize;

use super::config::ImageDataConfig;
use super::folder::{self, Found, Listing};
use super::layout::{self, Stored};
use super::pictures::{Loaded, Part, Pictures};
use super::{LAYOUTS, cifar, decode, idx, synthetic, variant};
use crate::data::config::Section;
use crate::data::division::Lists;
use crate::data::folders::count_extensions;
use crate::data::source::Source;
use crate::data::split::Split;
use crate::data::survey::{Content, Looked, Seen, Spread, Survey, counts};
use crate::data::synthetic::SyntheticConfig;
use crate::error::{Error, Result};

/// How the colours of pictures in memory are stored.
const IN_MEMORY: &str = "RGB";

/// What only sets of pictures hold. Numbers are those of the pictures that can be used.
#[derive(Serialize)]
struct PictureContent {
    /// The pictures.
    pub pictures: usize,
    /// Their widths in pixels, upright.
    pub width: Option<Spread>,
    /// Their heights in pixels, upright.
    pub height: Option<Spread>,
    /// How their colours are stored: `RGB`, `grey`, `CMYK`, `16-bit RGB with alpha`, ...
    pub colours: BTreeMap<&'static str, usize>,
}

impl PictureContent {
    fn lines(&self) -> Vec<(&'static str, String)> {
        let mut lines = vec![("pictures", self.pictures.to_string())];
        if let (Some(width), Some(height)) = (self.width, self.height) {
            let colours = counts(self.colours.iter());
            lines.extend([("width", width.to_string()), ("height", height.to_string()), ("colours", colours)]);
        }
        lines
    }
}

/// What is told of a picture.
#[derive(Debug, Clone, Copy)]
struct Facts {
    /// Width and height, upright.
    size: [u32; 2],
    colours: &'static str,
}

/// A picture that was looked at.
struct Picture {
    name: String,
    split: Split,
    label: Option<usize>,
    facts: Result<Facts>,
}

/// Looks at every picture.
pub(super) fn survey(source: &Source, section: Section<'_, &ImageDataConfig>) -> Result<Survey> {
    let (looked, pictures) = look(source, section.synthetic, &section.lists)?;
    let seen: Vec<Seen<'_>> = pictures.iter().map(Picture::seen).collect();
    let good: Vec<(&str, Facts)> =
        pictures.iter().filter_map(|picture| Some((&*picture.name, *picture.facts.as_ref().ok()?))).collect();
    let notes = notes(&good, section.own.size);
    let content = content(&good);
    let survey = Survey::new(looked, &seen, Content::new(&content, good.len(), content.lines()), notes);
    let recipe = variant(survey.learned_from());
    Ok(survey.with_recipe(recipe))
}

impl Picture {
    fn seen(&self) -> Seen<'_> {
        Seen { name: &self.name, split: self.split, label: self.label, error: self.facts.as_ref().err() }
    }
}

fn look(source: &Source, synthetic: &SyntheticConfig, lists: &Lists<'_>) -> Result<(Looked, Vec<Picture>)> {
    let folder = match source {
        Source::Synthetic => return Ok(look_at_synthetic(synthetic)),
        Source::Folder(folder) => folder,
    };
    match layout::find(folder) {
        Some((Stored::Cifar(format), path)) => look_at_cifar(&path, format),
        Some((Stored::Idx, path)) => look_at_idx(&path),
        Some((Stored::ClassFolders, path)) => look_at_files(&path, lists),
        None => Err(Error::invalid(folder, LAYOUTS, "none of these")),
    }
}

fn look_at_synthetic(config: &SyntheticConfig) -> (Looked, Vec<Picture>) {
    let set = synthetic::generate(config);
    let of = |split: Split, labels: Vec<usize>| {
        let picture = move |(number, label)| in_memory(format!("picture {number}"), split, Ok(label), synthetic::SIDE);
        labels.into_iter().enumerate().map(picture)
    };
    let pictures = of(Split::Train, set.train.labels).chain(of(Split::Test, set.test.labels)).collect();
    (looked(set.origin, "none", "made apart".to_owned(), BTreeMap::new(), set.classes), pictures)
}

fn look_at_cifar(folder: &Path, format: &cifar::Format) -> Result<(Looked, Vec<Picture>)> {
    let cifar::Look { classes, files, records } = cifar::look(folder, format)?;
    let picture = |(name, split, label)| in_memory(name, split, label, cifar::SIDE);
    let origin = folder.display().to_string();
    let looked = looked(origin, "CIFAR", "names of the files".to_owned(), [files].into(), classes);
    Ok((looked, records.into_iter().map(picture).collect()))
}

fn look_at_idx(folder: &Path) -> Result<(Looked, Vec<Picture>)> {
    let set = idx::read(folder)?;
    let of = |split: Split, part: Part| {
        let Pictures::Loaded(Loaded { names, side, .. }) = part.pictures else { unreachable!("was just read") };
        let pictures = names.into_iter().zip(part.labels);
        pictures.map(move |(name, label)| Picture {
            facts: Ok(Facts { size: [super::augmentation::side(side); 2], colours: "grey" }),
            name,
            split,
            label: Some(label),
        })
    };
    let pictures = of(Split::Train, set.train).chain(of(Split::Test, set.test)).collect();
    let files = [("idx".to_owned(), 4)].into();
    Ok((looked(set.origin, "IDX", "names of the files".to_owned(), files, set.classes), pictures))
}

fn look_at_files(folder: &Path, lists: &Lists<'_>) -> Result<(Looked, Vec<Picture>)> {
    let Listing { classes, files: found, layout, division, missing } = folder::find(folder, lists)?;
    let files = count_extensions(found.iter().map(|found| &found.path));
    let looked = looked(folder.display().to_string(), layout, division, files, classes);
    let picture = |Found { split, label, path }: Found| {
        let facts = decode::describe(&path).map(|(size, colours)| Facts { size, colours });
        Picture { name: path.display().to_string(), split, label: Some(label), facts }
    };
    let mut pictures: Vec<Picture> = found.into_par_iter().map(picture).collect();
    let lost = |error: Error| Picture { name: error.to_string(), split: Split::Test, label: None, facts: Err(error) };
    pictures.extend(missing.into_iter().map(lost));
    Ok((looked, pictures))
}

fn looked(
    origin: String,
    layout: &'static str,
    division: String,
    files: BTreeMap<String, usize>,
    classes: Vec<String>,
) -> Looked {
    Looked { origin, layout, division, files, classes }
}

fn in_memory(name: String, split: Split, label: Result<usize>, side: usize) -> Picture {
    let size = [super::augmentation::side(side); 2];
    let known = label.as_ref().ok().copied();
    Picture { name, split, label: known, facts: label.map(|_| Facts { size, colours: IN_MEMORY }) }
}

fn content(good: &[(&str, Facts)]) -> PictureContent {
    let lengths = |axis: usize| Spread::of(good.iter().map(|(_, facts)| facts.size[axis] as usize));
    let mut colours = BTreeMap::new();
    for (_, facts) in good {
        *colours.entry(facts.colours).or_default() += 1;
    }
    PictureContent { pictures: good.len(), width: lengths(0), height: lengths(1), colours }
}

fn notes(good: &[(&str, Facts)], size: usize) -> Vec<String> {
    let short = |facts: &Facts| facts.size.into_iter().min().unwrap_or_default();
    let small = good.iter().filter(|(_, facts)| (short(facts) as usize) < size);
    let Some((name, Facts { size: [width, height], .. })) = small.clone().min_by_key(|(_, facts)| short(facts)) else {
        return Vec::new();
    };
    let count = small.count();
    vec![format!(
        "{count} pictures (the smallest, {name}, {width} × {height}) are smaller than data.images.size = {size} of the \
         default network of the task images: they are enlarged"
    )]
}
