//! Stores of assets: every case is one test per backend.

#[cfg(feature = "cloud")]
mod failures;
#[cfg(target_os = "linux")]
mod killed;
#[cfg(feature = "cloud")]
mod proxy;
#[cfg(feature = "cloud")]
mod s3;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use mcp_jupyter_core::assets::conformance::{Fixture, cases};
use mcp_jupyter_core::assets::{AssetStore, ObjectAssets};
use mcp_jupyter_core::model::Digest;
use tempfile::TempDir;

/// Calls a macro with the names of all cases.
macro_rules! with_every_case {
    ($make_tests:ident) => {
        $make_tests! {
            put_and_get,
            put_again,
            put_at_once,
            put_other_handle,
            put_empty,
            put_large,
            put_staged_again,
            put_broken_off,
            put_dropped,
            ranges,
            ranges_beyond,
            unknown,
            text_has_lines,
            image_has_pixels,
            deleted,
            list_nothing,
            list_ordered,
            list_meanwhile,
            foreign_left_alone,
            references_kept,
            reference_repeated,
            reference_removed,
            reference_to_nothing,
            references_at_once,
            references_listed,
            marks_kept,
            mark_of_nothing,
            marks_listed,
            put_unmarks,
            collect_marked,
            collect_unmarked,
            collect_too_early,
            collect_referred,
            collect_nothing,
            collect_repeated,
            collect_or_create,
            collect_or_refer,
            collect_at_once,
            collect_dropped,
        }
    };
}

macro_rules! names {
    ($($name:ident,)*) => {
        const NAMES: &[&str] = &[$(stringify!($name)),*];
    };
}
with_every_case!(names);

#[test]
fn no_case_is_left_out() {
    let all: Vec<&str> = cases().iter().map(|case| case.name).collect();
    assert_eq!(all, NAMES);
}

/// A runtime with several threads, so that what races does.
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

/// Runs one case on a runtime of its own.
fn run(name: &str, fixture: &dyn Fixture) {
    let case = cases()
        .into_iter()
        .find(|case| case.name == name)
        .expect("the case exists");
    runtime().block_on(case.run(fixture));
}

/// Keys that are not ours, next to those of this asset and its records.
fn foreign(asset: &Digest) -> Vec<String> {
    let digits = asset.hex();
    vec![
        "notes.txt".to_owned(),
        "sha256/readme".to_owned(),
        format!("sha256/{digits}"),
        format!("sha256/{}/{digits}.bak", &digits[..2]),
        format!("sha256/zz/{}", Digest::of(b"elsewhere").hex()),
        format!("meta/{digits}.bak"),
        format!("refs/{digits}/readme"),
        format!("refs/{digits}/notebook/cell"),
        format!("pins/{digits}/{{}}"),
        "pins/readme".to_owned(),
        "marks/readme".to_owned(),
        format!("marks/{digits}.bak"),
        "claims/readme".to_owned(),
        format!("claims/{digits}"),
    ]
}

/// Looks like a reference.
const FOREIGN: &[u8] = br#"{"pin": "foreign"}"#;

/// A store in memory.
#[derive(Debug)]
struct Memory(ObjectAssets);

#[async_trait]
impl Fixture for Memory {
    async fn store(&self) -> Arc<dyn AssetStore> {
        Arc::new(self.0.clone())
    }

    async fn again(&self) -> Arc<dyn AssetStore> {
        self.store().await
    }

    async fn plant(&self, _: &Digest) -> bool {
        false
    }

    async fn is_planted(&self) -> bool {
        unreachable!("nobody else writes into memory")
    }
}

/// A store in a folder.
#[derive(Debug)]
struct Directory(TempDir);

impl Directory {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn open(&self) -> ObjectAssets {
        ObjectAssets::directory(&self.0.path().join("assets")).unwrap()
    }
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

#[async_trait]
impl Fixture for Directory {
    async fn store(&self) -> Arc<dyn AssetStore> {
        Arc::new(self.open())
    }

    async fn again(&self) -> Arc<dyn AssetStore> {
        self.store().await
    }

    async fn plant(&self, asset: &Digest) -> bool {
        for key in foreign(asset) {
            let path = self.0.path().join("assets").join(key);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, FOREIGN).unwrap();
        }
        true
    }

    async fn is_planted(&self) -> bool {
        let files = files(&self.0.path().join("assets"));
        let planted = files.iter().filter(|path| std::fs::read(path).unwrap() == FOREIGN);
        planted.count() == foreign(&Digest::of(b"")).len()
    }
}

mod memory {
    use super::{Memory, ObjectAssets, run};

    macro_rules! tests {
        ($($name:ident,)*) => {
            $(#[test]
            fn $name() {
                run(stringify!($name), &Memory(ObjectAssets::memory()));
            })*
        };
    }
    with_every_case!(tests);
}

mod directory {
    use super::{Directory, run};

    macro_rules! tests {
        ($($name:ident,)*) => {
            $(#[test]
            fn $name() {
                run(stringify!($name), &Directory::new());
            })*
        };
    }
    with_every_case!(tests);
}

#[cfg(feature = "cloud")]
mod over_http {
    use super::run;
    use super::s3::S3;

    macro_rules! tests {
        ($($name:ident,)*) => {
            $(#[test]
            fn $name() {
                if let Some(fixture) = S3::new() {
                    run(stringify!($name), &fixture);
                }
            })*
        };
    }
    with_every_case!(tests);
}

#[cfg(feature = "grpc")]
mod remote_over_memory {
    use super::{Memory, ObjectAssets, run};
    use crate::remote::Assets;

    macro_rules! tests {
        ($($name:ident,)*) => {
            $(#[test]
            fn $name() {
                run(stringify!($name), &Assets::over(Memory(ObjectAssets::memory())));
            })*
        };
    }
    with_every_case!(tests);
}

#[cfg(feature = "grpc")]
mod remote_over_directory {
    use super::{Directory, run};
    use crate::remote::Assets;

    macro_rules! tests {
        ($($name:ident,)*) => {
            $(#[test]
            fn $name() {
                run(stringify!($name), &Assets::over(Directory::new()));
            })*
        };
    }
    with_every_case!(tests);
}
