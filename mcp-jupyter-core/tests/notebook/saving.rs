//! Replacing the file of a notebook.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use mcp_jupyter_core::session::SessionError;
use mcp_jupyter_core::session::notebook::{Durability, Notebook};
use tempfile::TempDir;

fn notebook(lines: usize) -> Notebook {
    let source = "x = 1\\n".repeat(lines);
    let document = format!(
        r#"{{"nbformat": 4, "nbformat_minor": 4, "metadata": {{}}, "cells": [
            {{"cell_type": "raw", "metadata": {{}}, "source": "{source}"}}]}}"#
    );
    Notebook::parse(document.as_bytes()).unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

#[test]
fn a_new_file_has_the_mode_that_the_umask_leaves() {
    let folder = TempDir::new().unwrap();
    let (path, plain) = (folder.path().join("new.ipynb"), folder.path().join("plain"));
    fs::write(&plain, "").unwrap();
    notebook(3).save(&path, Durability::Power).unwrap();
    assert_eq!(fs::read(&path).unwrap(), notebook(3).to_bytes());
    assert_eq!(mode(&path), mode(&plain));
    assert_eq!(names(folder.path()), ["new.ipynb", "plain"]);
}

#[test]
fn an_old_file_is_replaced_and_its_mode_kept() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("old.ipynb");
    for (bits, durability) in [
        (0o600, Durability::Process),
        (0o664, Durability::Power),
        (0o444, Durability::Process),
    ] {
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(bits)).unwrap();
        let before = fs::metadata(&path).unwrap();
        notebook(3).save(&path, durability).unwrap();
        let after = fs::metadata(&path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), notebook(3).to_bytes());
        assert_eq!(mode(&path), bits);
        assert_eq!((after.uid(), after.gid()), (before.uid(), before.gid()));
        assert_ne!(after.ino(), before.ino());
        assert_eq!(names(folder.path()), ["old.ipynb"]);
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn a_relative_path_without_a_folder_is_one() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("in.ipynb"), notebook(1).to_bytes()).unwrap();
    assert!(save_in_child(folder.path(), "", "in.ipynb").contains("saved"));
    assert_eq!(names(folder.path()), ["in.ipynb"]);
    assert_eq!(
        fs::read(folder.path().join("in.ipynb")).unwrap(),
        notebook(100_000).to_bytes()
    );
}

#[test]
fn links_stay_and_what_they_lead_to_is_replaced() {
    let folder = TempDir::new().unwrap();
    let target = folder.path().join("target.ipynb");
    let (link, second) = (folder.path().join("link.ipynb"), folder.path().join("second.ipynb"));
    symlink("target.ipynb", &link).unwrap();
    symlink(&link, &second).unwrap();
    for lines in [1, 2] {
        notebook(lines).save(&second, Durability::Process).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert!(fs::symlink_metadata(&second).unwrap().is_symlink());
        assert!(fs::symlink_metadata(&target).unwrap().is_file());
        assert_eq!(fs::read(&target).unwrap(), notebook(lines).to_bytes());
    }
}

#[test]
fn links_in_a_circle_a_directory_and_a_missing_one_are_errors_that_name_the_path() {
    let folder = TempDir::new().unwrap();
    let link = folder.path().join("link.ipynb");
    symlink(&link, &link).unwrap();
    for path in [&link, folder.path(), &folder.path().join("none/a.ipynb")] {
        let error = notebook(1).save(path, Durability::Process).unwrap_err();
        assert_eq!(error.to_string(), format!("write {}", path.display()));
        assert!(matches!(error, SessionError::Io { .. }));
    }
    assert_eq!(names(folder.path()), ["link.ipynb"]);
}

#[test]
fn a_device_is_written_to_as_it_is() {
    notebook(1).save(Path::new("/dev/null"), Durability::Power).unwrap();
    let error = notebook(1)
        .save(Path::new("/dev/full"), Durability::Process)
        .unwrap_err();
    let SessionError::Io { source, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(source.kind(), std::io::ErrorKind::StorageFull);
}

#[test]
fn on_a_limit_of_file_size_the_old_file_stays_and_no_other() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("old.ipynb");
    fs::write(&path, "old").unwrap();
    let said = save_in_child(folder.path(), "ulimit -f 8; trap '' XFSZ;", "old.ipynb");
    assert!(said.contains("refused: write old.ipynb"), "{said}");
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!(names(folder.path()), ["old.ipynb"]);
}

/// As nobody, who may do no more than the modes allow.
const AS_NOBODY: &str = "set -- setpriv --reuid=65534 --regid=65534 --clear-groups;";

#[test]
fn in_a_folder_that_is_not_writable_a_file_that_is_is_written_in_place() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("old.ipynb");
    fs::write(&path, "old").unwrap();
    let inode = fs::metadata(&path).unwrap().ino();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o555)).unwrap();
    let is_root = fs::metadata(&path).unwrap().uid() == 0;
    let setup = if is_root { AS_NOBODY } else { "" };
    let said = save_in_child(folder.path(), setup, "old.ipynb");
    assert!(said.contains("saved"), "{said}");
    assert_eq!(fs::read(&path).unwrap(), notebook(100_000).to_bytes());
    assert_eq!(fs::metadata(&path).unwrap().ino(), inode);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
    let said = save_in_child(folder.path(), setup, "old.ipynb");
    assert!(said.contains("refused: write old.ipynb"), "{said}");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(names(folder.path()), ["old.ipynb"]);
}

#[test]
#[ignore = "is run by the other tests in a process of its own"]
fn child() {
    let path = std::env::var("MCP_JUPYTER_TEST_SAVE").unwrap();
    match notebook(100_000).save(Path::new(&path), Durability::Process) {
        Ok(()) => println!("saved"),
        Err(error) => println!("refused: {error}"),
    }
}

/// Runs [`child`] in `folder` after the shell's `setup`; gives what it prints.
fn save_in_child(folder: &Path, setup: &str, path: &str) -> String {
    let output = Command::new("sh")
        .args([
            "-c",
            &format!("{setup} exec \"$@\" \"$0\" --exact saving::child --ignored --nocapture"),
        ])
        .arg(std::env::current_exe().unwrap())
        .env("MCP_JUPYTER_TEST_SAVE", path)
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
