//! Bytes in, bytes out.

use std::collections::BTreeSet;
use std::io::Cursor;

use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::{FutureExt, StreamExt, stream};

use super::fixture::{Fixture, assert_not_found, bytes, is_there, list, put};
use super::list_cases;
use crate::assets::{AssetError, AssetStoreExt, ByteStream, MimeType, Staging};
use crate::model::Digest;

list_cases! {
    put_and_get: "what is put comes back, with what is known of it",
    put_again: "the same bytes twice are one asset",
    put_at_once: "the same bytes by many at once are one asset",
    put_other_handle: "what one has put, another gets",
    put_empty: "an asset may be empty",
    put_large: "a large asset comes back whole and in ranges",
    put_staged_again: "what is staged makes an asset again after it was deleted",
    put_broken_off: "content that ends with an error is no asset",
    put_dropped: "a dropped call leaves the whole asset or none",
    ranges: "a range that lies within the asset gives its bytes",
    ranges_beyond: "a range beyond the end, or backwards, is invalid",
    unknown: "an asset that is not there is not found, by its digest",
    text_has_lines: "the lines of a text are counted, the MIME type is kept as it is",
    image_has_pixels: "width and height of an image are known",
    deleted: "what is deleted is gone as a whole, and can be deleted again",
}

async fn put_and_get(fixture: &dyn Fixture) {
    let store = fixture.store().await;
    let before = jiff::Timestamp::now();
    let asset = put(&*store, "a\nb").await;
    assert_eq!(asset.digest, Digest::of(b"a\nb"));
    assert_eq!((asset.length, asset.lines, asset.pixels), (3, Some(2), None));
    assert!(asset.created >= before && asset.created <= jiff::Timestamp::now());
    assert_eq!(bytes(&*store, &asset.digest).await, "a\nb");
    let head = store.head(&asset.digest).await.expect("the asset is there");
    assert_eq!((&head, list(&*store).await), (&asset, vec![asset.clone()]));
}

async fn put_again(fixture: &dyn Fixture) {
    let store = fixture.store().await;
    let first = put(&*store, "same").await;
    let second = put(&*store, "same").await;
    assert_eq!(first, second, "the first put says when it was made");
    assert_eq!(list(&*store).await, [first]);
}

async fn put_at_once(fixture: &dyn Fixture) {
    let (store, other) = (fixture.store().await, fixture.again().await);
    let puts = (0..16).map(|number| put(if number % 2 == 0 { &*store } else { &*other }, "same\n"));
    for asset in join_all(puts).await {
        assert_eq!((asset.digest, asset.length), (Digest::of(b"same\n"), 5));
    }
    let listed = list(&*store).await;
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].lines, Some(1));
    assert_eq!(bytes(&*other, &listed[0].digest).await, "same\n");
}

async fn put_other_handle(fixture: &dyn Fixture) {
    let store = fixture.store().await;
    let asset = put(&*store, "kept").await;
    drop(store);
    let other = fixture.again().await;
    assert_eq!(bytes(&*other, &asset.digest).await, "kept");
    assert_eq!(other.head(&asset.digest).await.expect("it is there"), asset);
}

async fn put_empty(fixture: &dyn Fixture) {
    let store = fixture.store().await;
    let asset = put(&*store, "").await;
    assert_eq!((asset.length, asset.lines), (0, Some(0)));
    assert!(is_there(&*store, &asset.digest).await);
    let nothing = store.bytes(&asset.digest, Some(0..0)).await;
    assert!(nothing.expect("an empty range lies within").is_empty());
}

/// Bytes that repeat late.
fn large() -> Bytes {
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_le_bytes()
    };
    (0..5 << 20).flat_map(|_| next()).collect()
}

async fn put_large(fixture: &dyn Fixture) {
    let store = fixture.store().await;
    let content = large();
    let parts: Vec<_> = (0..content.len())
        .step_by(300_001)
        .map(|from| Ok(content.slice(from..content.len().min(from + 300_001))))
        .collect();
    let asset = store.put(stream::iter(parts).boxed(), MimeType::unknown()).await;
    let asset = asset.expect("a store takes large assets");
    assert_eq!((asset.length, asset.lines), (20 << 20, None));
    assert!(bytes(&*store, &asset.digest).await == content, "all bytes come back");
    for range in [
        0..1,
        (8 << 20) - 3..(8 << 20) + 3,
        (20 << 20) - 7..20 << 20,
        5_000_000..9_000_000,
    ] {
        let part = store
            .bytes(&asset.digest, Some(range.start as u64..range.end as u64))
            .await;
        assert!(
            part.expect("it lies within") == content.slice(range.clone()),
            "{range:?}"
        );
    }
}

async fn put_staged_again(fixture: &dyn Fixture) {
    let store = fixture.store().await;
    let mut staging = Staging::new(store.staging_folder());
    staging.write(b"staged\n").await.expect("it can be staged");
    let staged = staging.finish(MimeType::plain()).await.expect("it can be staged");
    for _ in 0..3 {
        let asset = store.create(&staged).await.expect("what is staged can be used again");
        assert_eq!(bytes(&*store, &asset.digest).await, "staged\n");
        store.delete(&asset.digest).await.expect("it can be deleted");
    }
}

async fn put_broken_off(fixture: &dyn Fixture) {
    let store = fixture.store().await;
    let broken = AssetError::Unsupported {
        what: "the rest".to_owned(),
    };
    let content: ByteStream = stream::iter([Ok("half".into()), Err(broken)]).boxed();
    let put = store.put(content, MimeType::plain()).await;
    assert!(matches!(put, Err(AssetError::Unsupported { .. })), "{put:?}");
    assert!(list(&*store).await.is_empty());
}

async fn put_dropped(fixture: &dyn Fixture) {
    let store = fixture.store().await;
    for round in 0..fixture.rounds() {
        let text = format!("dropped {round}\n").repeat(1000);
        let digest = Digest::of(text.as_bytes());
        {
            let mut putting = put(&*store, text.clone()).boxed();
            // Each turn gives the backend a moment more.
            for _ in 0..=round * 37 % 1000 {
                if (&mut putting).now_or_never().is_some() {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        // What has begun may end meanwhile.
        if let Ok(content) = store.bytes(&digest, None).await {
            assert_eq!(content, text, "the whole or nothing");
        }
        put(&*store, text).await;
        assert!(is_there(&*store, &digest).await, "it can be put again");
    }
}

async fn ranges(fixture: &dyn Fixture) {
    let store = fixture.store().await;
    let asset = put(&*store, "0123456789").await;
    for (range, expected) in [
        (0..1, "0"),
        (9..10, "9"),
        (3..7, "3456"),
        (0..10, "0123456789"),
        (0..0, ""),
        (4..4, ""),
        (10..10, ""),
    ] {
        let part = store.bytes(&asset.digest, Some(range.clone())).await;
        assert_eq!(part.expect("it lies within"), expected, "{range:?}");
    }
}

async fn ranges_beyond(fixture: &dyn Fixture) {
    let store = fixture.store().await;
    let asset = put(&*store, "0123456789").await;
    #[expect(clippy::reversed_empty_ranges, reason = "it is refused")]
    for range in [0..11, 9..12, 10..11, 11..11, 12..20, 0..u64::MAX, 7..3] {
        let part = store.bytes(&asset.digest, Some(range.clone())).await;
        assert!(matches!(part, Err(AssetError::Invalid { .. })), "{range:?}: {part:?}");
    }
}

async fn unknown(fixture: &dyn Fixture) {
    let store = fixture.store().await;
    put(&*store, "other").await;
    let digest = Digest::of(b"never put");
    assert_not_found(&store.head(&digest).await.expect_err("it is not there"), &digest);
    for range in [None, Some(0..0), Some(0..1), Some(5..9)] {
        let got = store.bytes(&digest, range).await;
        assert_not_found(&got.expect_err("it is not there"), &digest);
    }
    assert!(!is_there(&*store, &digest).await);
}

async fn text_has_lines(fixture: &dyn Fixture) {
    let store = fixture.store().await;
    for (text, mime, lines) in [
        ("a", "text/plain; charset=utf-8", Some(1)),
        ("b\n", "text/html", Some(1)),
        ("c\nd\n\n", "application/json", Some(3)),
        ("e\nf", "application/vnd.plotly.v1+json", Some(2)),
        ("g\nh", "image/svg+xml", Some(2)),
        ("i\n", "application/pdf", None),
    ] {
        let mime: MimeType = mime.parse().expect("it is one");
        let asset = store.put_bytes(text.into(), mime.clone()).await;
        let asset = asset.expect("a store takes every type");
        assert_eq!((&asset.mime, asset.lines), (&mime, lines), "{text:?}");
        assert_eq!(store.head(&asset.digest).await.expect("it is there"), asset);
    }
    let mimes: BTreeSet<MimeType> = list(&*store).await.into_iter().map(|asset| asset.mime).collect();
    assert_eq!(mimes.len(), 6);
}

async fn image_has_pixels(fixture: &dyn Fixture) {
    let store = fixture.store().await;
    let mut png = Cursor::new(Vec::new());
    let image = image::DynamicImage::new_rgb8(7, 5);
    image
        .write_to(&mut png, image::ImageFormat::Png)
        .expect("memory takes it");
    let mime: MimeType = "image/png".parse().expect("it is one");
    let asset = store.put_bytes(png.into_inner().into(), mime.clone()).await;
    let asset = asset.expect("a store takes images");
    assert_eq!((asset.pixels, asset.lines), (Some((7, 5)), None));
    assert_eq!(list(&*store).await, [asset]);
    let broken = store.put_bytes("no image".into(), mime).await;
    assert_eq!(broken.expect("a store takes anything").pixels, None);
}

async fn deleted(fixture: &dyn Fixture) {
    let store = fixture.store().await;
    let (asset, other) = (put(&*store, "gone").await, put(&*store, "stays").await);
    store.mark(&asset.digest).await.expect("it is there");
    for _ in 0..2 {
        let deleted = store.delete(&asset.digest).await;
        deleted.expect("deleting what is not there does nothing");
        assert!(!is_there(&*store, &asset.digest).await);
    }
    assert!(super::fixture::all_marks(&*store).await.is_empty());
    assert_eq!(list(&*store).await, [other]);
    let anew = put(&*store, "gone").await;
    assert!(anew.created >= asset.created);
    assert!(is_there(&*store, &asset.digest).await);
}
