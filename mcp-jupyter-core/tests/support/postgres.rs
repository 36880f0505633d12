//! A PostgreSQL of its own, which ends with it.

#![allow(clippy::print_stdout, reason = "a test says why it is skipped")]

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::unistd::User;
use tempfile::TempDir;

/// A server on a socket in a folder of its own.
#[derive(Debug)]
pub(crate) struct Postgres {
    server: Child,
    folder: TempDir,
}

/// Where Debian has the programs of each version, and others have them on the PATH.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
    folders.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    folders.extend(std::env::split_paths(&path));
    folders.into_iter().rev().find(|folder| folder.join("initdb").exists())
}

/// The command as somebody else, where we are root: PostgreSQL refuses to be.
fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    let postgres = User::from_name("postgres").ok().flatten();
    if let Some(user) = postgres.filter(|_| nix::unistd::geteuid().is_root()) {
        command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    }
    command
}

impl Postgres {
    /// None, with the reason printed, where PostgreSQL is not installed.
    pub(crate) fn start() -> Option<Self> {
        let Some(programs) = programs() else {
            println!("skipped: there is no PostgreSQL; apt-get install postgresql");
            return None;
        };
        let folder = tempfile::Builder::new().prefix("pg").tempdir_in("/tmp").unwrap();
        if let Some(user) = User::from_name("postgres")
            .unwrap()
            .filter(|_| nix::unistd::geteuid().is_root())
        {
            nix::unistd::chown(folder.path(), Some(user.uid), Some(user.gid)).unwrap();
        }
        let data = folder.path().join("data");
        let init = command(&programs.join("initdb"))
            .args([
                "--no-sync",
                "--auth=trust",
                "--username=postgres",
                "--encoding=UTF8",
                "--pgdata",
            ])
            .arg(&data)
            .current_dir("/")
            .output()
            .unwrap();
        assert!(init.status.success(), "{}", String::from_utf8_lossy(&init.stderr));
        let server = command(&programs.join("postgres"))
            .args(["-c", "listen_addresses=", "-c", "fsync=off", "-D"])
            .arg(&data)
            .arg("-k")
            .arg(folder.path())
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let postgres = Self { server, folder };
        let socket = postgres.folder.path().join(".s.PGSQL.5432");
        let ready = data.join("postmaster.pid");
        while !(socket.exists() && std::fs::read_to_string(&ready).is_ok_and(|text| text.contains("ready"))) {
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(postgres)
    }

    /// Where clients reach it.
    pub(crate) fn url(&self) -> String {
        let folder = self.folder.path().display().to_string().replace('/', "%2F");
        format!("postgres://postgres@{folder}/postgres")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
