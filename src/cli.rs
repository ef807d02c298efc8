//! The command line: the program's words, of which each command's own stand with its options.

use crate::commands::{Command, GlobalOptions};
use clap::builder::styling::{Style, Styles};
use clap::{Args, CommandFactory, Parser, Subcommand};
use std::ffi::OsString;
use std::path::PathBuf;

/// Search neural architectures by Sequential Greedy Architecture Search (SGAS, CVPR 2020), train what was found,
/// and evaluate it.
#[derive(Debug, Parser)]
#[command(name = "sgas", version, max_term_width = 110, styles = Styles::plain().header(Style::new().bold()))]
#[command(disable_help_subcommand = true, arg_required_else_help = true)]
#[command(after_help = "\
Search a cell, train it, evaluate it:
  sgas search --task modelnet40 --save cell.json
  sgas train --genotype cell.json --amp
  sgas eval

Every run leaves a folder under runs/ and prints the command that comes next.
Where a cell is asked for, a search's folder will do. To try it without data:
  sgas search --config smoke/search-points --data synthetic --save cell.json
  sgas train --genotype cell.json --config smoke/train-points --data synthetic
  sgas eval

Results go to standard output, logs and progress to standard error.
Exit codes: 0 done, 1 the run failed, 2 usage, configuration or input.")]
struct Typed {
    #[command(flatten)]
    global: GlobalOptions,
    #[command(subcommand)]
    command: TypedCommand,
}

#[derive(Debug, Subcommand)]
#[expect(clippy::large_enum_variant, reason = "there is one in a process")]
enum TypedCommand {
    #[command(flatten)]
    Work(Command),
    Completions(CompletionArguments),
    Man(ManArguments),
}

/// Print completions for a shell
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  sgas completions bash > ~/.local/share/bash-completion/completions/sgas")]
struct CompletionArguments {
    /// The shell
    shell: clap_complete::Shell,
}

/// Write a manual page for the program and each of its commands
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  sgas man ~/.local/share/man/man1 && man sgas-search")]
struct ManArguments {
    /// The folder; pages of the same names are replaced
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// What was typed, as it is meant.
#[expect(clippy::large_enum_variant, reason = "there is one in a process")]
pub enum Meant {
    /// A command to run.
    Work(GlobalOptions, Command),
    /// A text to print: the completions for a shell.
    Answer(String),
    /// Files to write into a folder: manual pages, by their names.
    Files(PathBuf, Vec<(String, Vec<u8>)>),
}

/// What these words mean, the program's name first.
///
/// # Errors
/// Help, version and misuse, as clap words them.
pub fn parse(words: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> Result<Meant, clap::Error> {
    let Typed { global, command } = Typed::try_parse_from(words)?;
    match command {
        TypedCommand::Work(command) => Ok(Meant::Work(global, command)),
        TypedCommand::Completions(CompletionArguments { shell }) => {
            // clap panics where it can't write.
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Typed::command(), "sgas", &mut script);
            Ok(Meant::Answer(String::from_utf8_lossy(&script).into_owned()))
        }
        TypedCommand::Man(ManArguments { folder }) => Ok(Meant::Files(folder, pages())),
    }
}

/// A manual page for the program and each of its commands, by file name.
fn pages() -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    let mut add = |command: clap::Command, name: &str| {
        let mut page = Vec::new();
        // A vector takes every byte.
        let _ = clap_mangen::Man::new(command).render(&mut page);
        all.push((format!("{name}.1"), page));
    };
    let mut program = Typed::command();
    program.build();
    add(program.clone(), "sgas");
    for command in program.get_subcommands() {
        let name = format!("sgas-{}", command.get_name());
        add(command.clone().display_name(&name), &name);
        for below in command.get_subcommands() {
            let name = format!("{name}-{}", below.get_name());
            add(below.clone().display_name(&name), &name);
        }
    }
    all
}

/// The same for who runs commands in a process of his own; `None` for completions and manual pages.
///
/// # Errors
/// Help, version and misuse, as clap words them.
pub fn parse_from(
    words: impl IntoIterator<Item = impl Into<OsString> + Clone>,
) -> Result<Option<(GlobalOptions, Command)>, clap::Error> {
    Ok(match parse(words)? {
        Meant::Work(global, command) => Some((global, command)),
        Meant::Answer(_) | Meant::Files(..) => None,
    })
}
