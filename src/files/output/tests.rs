//! What may stand at a place that the user named, and what becomes of it.

use super::*;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

const NOTE: Content = Content { name: "a note", is_ours: |head| head.starts_with(b"note") };

fn output(path: &Path, force: bool) -> Result<Output> {
    Output::new("--save", path, NOTE, force)
}

fn refusal(path: &Path, force: bool) -> String {
    let error = output(path, force).unwrap_err();
    assert_eq!(error.exit_code(), 2, "{error}");
    assert!(error.hint().is_some(), "{error}");
    error.to_string()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

#[test]
fn new_files_empty_ones_and_our_own_are_written_and_others_with_force_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    output(&path, false).unwrap().write(b"note 1").unwrap();
    output(&path, false).unwrap().write(b"note 2").unwrap();
    fs::write(&path, "").unwrap();
    output(&path, false).unwrap().write(b"note 3").unwrap();
    assert_eq!(read(&path), "note 3");
    fs::write(&path, "diary").unwrap();
    let text = refusal(&path, false);
    assert!(
        text.ends_with("expected a note as sgas writes them, or a new file, found a file of other content"),
        "{text}"
    );
    output(&path, true).unwrap().write(b"note 4").unwrap();
    assert_eq!(read(&path), "note 4");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left of what was tried");
}

#[test]
fn what_came_there_during_the_work_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    let begun = output(&path, false).unwrap();
    fs::write(&path, "diary").unwrap();
    assert_eq!(begun.write(b"note").unwrap_err().exit_code(), 2);
    assert_eq!(read(&path), "diary");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(begun.write(b"note").unwrap_err().to_string().ends_with("found a folder"));
    // What it wrote itself may look as it will.
    fs::remove_dir(&path).unwrap();
    begun.write(b"of another kind").unwrap();
    begun.write(b"of another kind, and longer").unwrap();
    assert_eq!(read(&path), "of another kind, and longer");
}

#[test]
fn files_of_a_run_are_kept_and_new_ones_beside_them_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    fs::create_dir_all(run.join("checkpoint")).unwrap();
    for name in [RUN_FILE, "cell", "checkpoint/state"] {
        fs::write(run.join(name), "note").unwrap();
        let text = refusal(&run.join(name), false);
        assert!(
            text.contains(&format!("found a file of the run in {}", fs::canonicalize(&run).unwrap().display())),
            "{text}"
        );
        output(&run.join(name), true).unwrap();
    }
    output(&run.join("new"), false).unwrap().write(b"note").unwrap();
}

#[test]
fn links_stay_and_what_they_lead_to_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("far")).unwrap();
    let [target, near, first] = ["far/target", "far/near", "first"].map(|name| folder.path().join(name));
    symlink("target", &near).unwrap();
    symlink("far/near", &first).unwrap();
    for text in ["note 1", "note 2"] {
        // At first there is no file at the end.
        output(&first, false).unwrap().write(text.as_bytes()).unwrap();
        assert_eq!(read(&target), text);
        assert!(near.is_symlink() && first.is_symlink() && !target.is_symlink());
    }
    fs::write(&target, "diary").unwrap();
    refusal(&first, false);
    let [circle, lost] = ["circle", "lost"].map(|name| folder.path().join(name));
    symlink("circle", &circle).unwrap();
    symlink("nowhere/a", &lost).unwrap();
    refusal(&circle, true);
    assert!(refusal(&lost, true).ends_with("found a file in a folder that is not there"));
}

#[test]
fn what_is_no_file_is_refused_even_with_force() {
    let folder = tempfile::tempdir().unwrap();
    let [inside, socket, pipe, long] =
        ["folder", "socket", "pipe", &"x".repeat(300)].map(|name| folder.path().join(name));
    fs::create_dir(&inside).unwrap();
    let _listener = UnixListener::bind(&socket).unwrap();
    make_pipe(&pipe);
    let slash = PathBuf::from(format!("{}/a/", folder.path().display()));
    for (path, found) in [
        (&inside, "a folder"),
        (&slash, "a folder"),
        (&socket, "a socket"),
        (&pipe, "a pipe that nobody reads"),
        (&folder.path().join("no/a"), "a file in a folder that is not there"),
        (&socket.join("a"), "a file in a folder that is not there"),
        (&long, "File name too long (os error 36)"),
    ] {
        let text = refusal(path, true);
        assert!(text.ends_with(&format!("found {found}")), "{text}");
    }
}

fn make_pipe(path: &Path) {
    rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
}

#[test]
fn a_pipe_with_a_reader_and_a_device_are_written_into() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    make_pipe(&pipe);
    let path = pipe.clone();
    let reader = std::thread::spawn(move || fs::read(path).unwrap());
    let piped = loop {
        match output(&pipe, false) {
            Ok(piped) => break piped,
            Err(_) => std::thread::sleep(std::time::Duration::from_millis(5)),
        }
    };
    // More than a pipe holds.
    piped.write(&[b'x'; 300_000]).unwrap();
    drop(piped);
    assert_eq!(reader.join().unwrap().len(), 300_000);
    assert!(fs::metadata(&pipe).unwrap().file_type().is_fifo());
    let null = output(Path::new("/dev/null"), false).unwrap();
    assert!(null.is_stream());
    null.write(b"note").unwrap();
    assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
    let full = output(Path::new("/dev/full"), false).unwrap();
    assert_eq!(full.write(b"note").unwrap_err().exit_code(), 1);
}

#[test]
fn a_folder_for_many_is_made_when_it_is_needed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b");
    let names = ["one".to_owned(), "two".to_owned()];
    let outputs = Output::in_folder("--output", &path, &names, NOTE, false).unwrap();
    assert!(!path.exists());
    outputs.iter().for_each(|output| output.write(b"note").unwrap());
    fs::write(path.join("two"), "diary").unwrap();
    let error = Output::in_folder("--output", &path, &names, NOTE, false).unwrap_err();
    assert!(error.to_string().contains("a/b/two: expected a note"), "{error}");
    let under_a_file = path.join("one/c");
    assert_eq!(Output::in_folder("--output", &under_a_file, &names, NOTE, false).unwrap_err().exit_code(), 2);
}

#[test]
fn what_the_program_names_itself_follows_links_and_replaces_files_alone() {
    let folder = tempfile::tempdir().unwrap();
    let [target, link, inside] = ["target", "link", "folder"].map(|name| folder.path().join(name));
    symlink("target", &link).unwrap();
    fs::create_dir(&inside).unwrap();
    replace(&link, b"diary").unwrap();
    assert!(link.is_symlink() && read(&target) == "diary");
    for wrong in [&inside, Path::new("/dev/null")] {
        assert_eq!(replace(wrong, b"x").unwrap_err().exit_code(), 1);
    }
}
