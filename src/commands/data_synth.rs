//! `sgas data synth`: the built-in synthetic shapes, pictures, graphs or labelled clouds as a folder of files.

use super::{DataSynthOptions, print};
use crate::data::{MadeLayout, SampleKind, Synthesis, SyntheticConfig};
use crate::error::{Error, Result};
use crate::visible::for_shell;
use std::io::Write;

/// Writes the folder and prints the next command.
///
/// # Errors
/// Options that are those of another kind; a folder that holds something, or can't be written.
pub fn run(options: &DataSynthOptions, out: &mut dyn Write) -> Result<()> {
    let (wanted, written) = resolve(options)?;
    options.kind.family.synthesise(&wanted, &options.folder)?;
    let SyntheticConfig { train, test, .. } = wanted.size;
    let folder = options.folder.display().to_string();
    let text = format!(
        "wrote {train} training and {test} test {written}, synthetic ones, into {folder}\nnext: sgas data info {}\n",
        for_shell(&folder)
    );
    print(out, &text)
}

/// The set that is asked for, and what is then written.
fn resolve(options: &DataSynthOptions) -> Result<(Synthesis, &'static str)> {
    let (making, plural) = (&options.kind.making, options.kind.plural);
    let has_points = |kind: SampleKind| kind.making.layouts[0].points > 0;
    refuse(options, "--points", options.points.is_some(), has_points)?;
    refuse(options, "--multi-label", options.multi_label, |kind| kind.making.several_labels)?;
    refuse(options, "--layout", options.layout.is_some(), |kind| kind.making.layouts.len() > 1)?;
    let layout = options.layout.as_deref().unwrap_or(making.layouts[0].name);
    let layout = making.layouts.iter().find(|known| known.name == layout).ok_or_else(|| {
        let known: Vec<&str> = making.layouts.iter().map(|layout| layout.name).collect();
        Error::usage(format!("--layout: {plural} have other layouts"))
            .with_hint(format!("known: {}", known.join(" or ")))
    })?;
    let formats: Vec<&str> = match &options.formats[..] {
        [] => layout.formats[..1].to_vec(),
        typed => typed.iter().map(|typed| format(options.kind, layout, typed)).collect::<Result<_>>()?,
    };
    if making.one_format && formats.len() > 1 {
        let message = format!("--format: {plural} have one format for all files");
        return Err(Error::usage(message).with_hint(format!("known: {}", layout.formats.join(", "))));
    }
    let size = SyntheticConfig { train: options.train, test: options.test, seed: options.seed };
    let (points, multi_label) = (options.points.unwrap_or(layout.points), options.multi_label);
    Ok((Synthesis { size, points, formats, layout: layout.name, multi_label }, layout.written))
}

/// Refuses a flag of other kinds.
fn refuse(options: &DataSynthOptions, flag: &str, given: bool, takes: fn(SampleKind) -> bool) -> Result<()> {
    if !given || takes(options.kind) {
        return Ok(());
    }
    let others: Vec<&str> = SampleKind::all().into_iter().filter(|kind| takes(*kind)).map(|kind| kind.plural).collect();
    let kind = options.kind.name;
    let others = match others.split_last() {
        Some((last, first)) if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        _ => others.concat(),
    };
    Err(Error::usage(format!("{flag} is for {others}, not for --kind {kind}")).with_hint(options.kind.making.remark))
}

fn format(kind: SampleKind, layout: &MadeLayout, typed: &str) -> Result<&'static str> {
    layout.formats.iter().find(|known| **known == typed).copied().ok_or_else(|| {
        let MadeLayout { name, formats, .. } = layout;
        let others = kind.making.layouts.iter().any(|other| other.formats.contains(&typed));
        let message = match others {
            true => format!("--format {typed}: the layout {name} has other formats"),
            false => format!("--format {typed}: {} have other formats", kind.plural),
        };
        Error::usage(message).with_hint(format!("known: {}", formats.join(", ")))
    })
}
