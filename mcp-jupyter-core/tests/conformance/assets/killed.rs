//! Processes that are killed while they write.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use futures_util::TryStreamExt;
use mcp_jupyter_core::assets::{AssetStore, AssetStoreExt, MimeType, ObjectAssets, Reference};
use mcp_jupyter_core::model::Digest;

use super::{Directory, files, runtime};

/// How many children are killed on each store; more with this variable.
const KILLS: &str = "MCP_JUPYTER_TEST_KILLS";
const FEW_KILLS: u64 = 25;

/// The variables that make the test below the child that it starts: the store, and what makes its content its own.
const STORE: &str = "MCP_JUPYTER_TEST_ASSETS_KILLED";
const SEED: &str = "MCP_JUPYTER_TEST_ASSETS_SEED";

fn kills() -> u64 {
    std::env::var(KILLS).map_or(FEW_KILLS, |kills| kills.parse().expect("a number"))
}

fn pin() -> Reference {
    Reference::Pin { pin: "kept".to_owned() }
}

/// Opens what the parent names: a folder, or a port and a prefix.
fn open(store: &str) -> ObjectAssets {
    match store.split_once(' ') {
        #[cfg(feature = "cloud")]
        Some((port, prefix)) => super::s3::store(port.parse().unwrap(), prefix),
        _ => ObjectAssets::directory(store.as_ref()).unwrap(),
    }
}

/// Puts, refers to and collects without an end; says what it was told is kept, and what it has given up.
async fn work(store: ObjectAssets, seed: &str) {
    for number in 0_u64.. {
        let text = format!("{seed} {number}\n").repeat(if number % 7 == 0 { 200_000 } else { 20 });
        let asset = store.put_bytes(text.into(), MimeType::plain()).await.unwrap();
        if number % 2 == 0 {
            store.add_reference(&asset.digest, &pin()).await.unwrap();
            say("kept", &asset.digest);
        }
        store.mark(&asset.digest).await.unwrap();
        let collected = store.collect(&asset.digest, jiff::Timestamp::MAX).await.unwrap();
        assert_eq!(collected, number % 2 == 1);
        if number % 6 == 0 {
            say("given up", &asset.digest);
            store.remove_reference(&asset.digest, &pin()).await.unwrap();
        }
    }
}

#[allow(clippy::print_stdout, reason = "the parent reads it")]
fn say(what: &str, digest: &Digest) {
    println!("\n{what} {}", digest.hex());
}

/// Starts a child, kills it that long after its first sign of life, and adds to what is known to be kept.
fn kill_one(test: &str, store: &str, seed: &str, after: Duration, kept: &mut BTreeSet<Digest>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", test])
        .env(STORE, store)
        .env(SEED, seed)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut note = |line: &str| {
        if let Some(digits) = line.strip_prefix("kept ") {
            kept.extend(Digest::from_hex(digits));
            return true;
        }
        let given_up = line
            .strip_prefix("given up ")
            .and_then(|digits| Digest::from_hex(digits).ok());
        given_up.is_some_and(|digest| kept.remove(&digest))
    };
    while !note(&lines.next().expect("the child works").unwrap()) {}
    std::thread::sleep(after);
    child.kill().unwrap();
    // A line that the end has cut is no promise: its digits are too few.
    for line in lines.map_while(Result::ok) {
        note(&line);
    }
    let status = child.wait().unwrap();
    assert_eq!(status.signal(), Some(9), "the child failed by itself: {status}");
}

/// Checks that what is there is whole and what was promised is there.
async fn check(store: &ObjectAssets, kept: &BTreeSet<Digest>) {
    let listed: Vec<_> = store.list().try_collect().await.unwrap();
    for asset in &listed {
        let content = store.bytes(&asset.digest, None).await.unwrap();
        assert_eq!(Digest::of(&content), asset.digest);
        assert_eq!(asset.length, content.len() as u64);
    }
    let there: BTreeSet<Digest> = listed.iter().map(|asset| asset.digest).collect();
    let lost: Vec<_> = kept.difference(&there).collect();
    assert!(lost.is_empty(), "gone though they were kept: {lost:?}");
    for digest in kept {
        assert_eq!(store.references(digest).await.unwrap(), [pin()]);
        assert!(!store.collect(digest, jiff::Timestamp::MAX).await.unwrap());
    }
    let references: Vec<_> = store.list_references().try_collect().await.unwrap();
    for (digest, _) in references {
        assert_eq!(store.references(&digest).await.unwrap(), [pin()], "both say the same");
    }
}

/// Kills as many as asked for. The times at which they die are spread over what a round takes.
fn kill_many(test: &str, store: &str, round: Duration) {
    let mut kept = BTreeSet::new();
    let kills = kills();
    for number in 0..kills {
        let part = (number * 7919 % 1000) as u32;
        kill_one(test, store, &number.to_string(), round * part / 1000, &mut kept);
    }
    assert!(kept.len() as u64 >= kills / 3, "{} kept", kept.len());
    runtime().block_on(check(&open(store), &kept));
}

/// Whether this process is a child, which then works until it is killed.
fn is_child() -> bool {
    let Ok(store) = std::env::var(STORE) else { return false };
    runtime().block_on(work(open(&store), &std::env::var(SEED).unwrap()));
    true
}

#[test]
fn a_folder_is_whole_whenever_its_writers_are_killed() {
    if is_child() {
        return;
    }
    let folder = Directory::new();
    let root = folder.0.path().join("assets");
    kill_many(
        "assets::killed::a_folder_is_whole_whenever_its_writers_are_killed",
        root.to_str().unwrap(),
        Duration::from_millis(60),
    );
    // What was staged had no name: of content there is nothing but whole assets.
    for path in files(&root) {
        let below = path.strip_prefix(&root).unwrap();
        if below.starts_with("sha256") {
            let digest = Digest::from_hex(path.file_name().unwrap().to_str().unwrap()).unwrap();
            assert_eq!(Digest::of(&std::fs::read(&path).unwrap()), digest);
        } else if below.components().count() == 1 {
            assert_eq!(below, ".gitignore");
        }
    }
}

#[cfg(feature = "cloud")]
#[test]
fn a_bucket_is_whole_whenever_its_writers_are_killed() {
    if is_child() {
        return;
    }
    let Some(port) = super::s3::port() else { return };
    kill_many(
        "assets::killed::a_bucket_is_whole_whenever_its_writers_are_killed",
        &format!("{port} {}", super::s3::fresh_prefix()),
        Duration::from_millis(400),
    );
}
