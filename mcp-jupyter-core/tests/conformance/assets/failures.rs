//! What becomes of failures of the network and of the service.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mcp_jupyter_core::ErrorKind;
use mcp_jupyter_core::assets::{AssetError, AssetStore, AssetStoreExt, MimeType, ObjectAssets};
use object_store::ObjectStoreExt as _;
use object_store::path::Path as Key;

use super::proxy::{self, Harm};
use super::{runtime, s3};

/// What no answer of the proxy may exceed. A client that tries three times more, soon, needs far less.
const BOUND: Duration = Duration::from_secs(20);

/// Runs a test with a healthy store and the same one through a proxy.
fn with_harm<F: Future<Output = ()>>(harm: Harm, test: impl FnOnce(ObjectAssets, ObjectAssets) -> F) {
    let Some(server) = s3::port() else { return };
    runtime().block_on(async {
        let prefix = s3::fresh_prefix();
        let port = proxy::before(server, harm).await;
        let began = Instant::now();
        test(s3::store(server, &prefix), s3::store(port, &prefix)).await;
        assert!(began.elapsed() < BOUND, "{:?}", began.elapsed());
    });
}

fn content() -> Vec<u8> {
    (0..1_000_000u32).map(|number| (number % 251) as u8).collect()
}

#[test]
fn a_service_that_is_busy_for_a_moment_is_asked_again() {
    with_harm(Harm::answer("503 Slow Down", 3), |store, harmed| async move {
        let asset = harmed.put_bytes("kept".into(), MimeType::plain()).await.unwrap();
        assert_eq!(store.bytes(&asset.digest, None).await.unwrap(), "kept");
    });
}

#[test]
fn a_service_that_stays_busy_is_unavailable() {
    with_harm(Harm::answer("503 Slow Down", u32::MAX), |store, harmed| async move {
        let asset = store.put_bytes("kept".into(), MimeType::plain()).await.unwrap();
        let put = harmed.put_bytes("new".into(), MimeType::plain()).await.unwrap_err();
        let got = harmed.bytes(&asset.digest, None).await.unwrap_err();
        let collected = harmed.collect(&asset.digest, jiff::Timestamp::MAX).await.unwrap_err();
        for error in [put, got, collected] {
            assert!(matches!(error, AssetError::Unavailable { .. }), "{error:?}");
            assert_eq!(error.kind(), ErrorKind::Unavailable);
            assert!(error.to_string().starts_with("s3://assets/"), "{error}");
        }
    });
}

#[test]
fn a_service_that_is_not_there_is_unavailable() {
    runtime().block_on(async {
        // Bound and never listening, so that nobody else gets it.
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let store = s3::store(socket.local_addr().unwrap().port(), "x");
        let error = store.put_bytes("new".into(), MimeType::plain()).await.unwrap_err();
        assert!(matches!(error, AssetError::Unavailable { .. }), "{error:?}");
    });
}

#[test]
fn a_service_that_refuses_us_denies() {
    for status in ["403 Forbidden", "401 Unauthorized"] {
        with_harm(Harm::answer(status, u32::MAX), |store, harmed| async move {
            let asset = store.put_bytes("kept".into(), MimeType::plain()).await.unwrap();
            let put = harmed.put_bytes("new".into(), MimeType::plain()).await.unwrap_err();
            let got = harmed.bytes(&asset.digest, None).await.unwrap_err();
            for error in [put, got] {
                assert!(matches!(error, AssetError::Denied { .. }), "{error:?}");
            }
        });
    }
}

#[test]
fn a_response_that_is_cut_is_resumed() {
    with_harm(Harm::cut(300_000, 1), |store, harmed| async move {
        let asset = store.put_bytes(content().into(), MimeType::unknown()).await.unwrap();
        let got = harmed.bytes(&asset.digest, None).await;
        assert!(got.unwrap() == content(), "all bytes, each once");
    });
}

#[test]
fn a_response_that_is_always_cut_is_an_error() {
    with_harm(Harm::cut(500, u32::MAX), |store, harmed| async move {
        let asset = store.put_bytes(content().into(), MimeType::unknown()).await.unwrap();
        let got = harmed.bytes(&asset.digest, None).await;
        assert!(
            matches!(got, Err(AssetError::Unavailable { .. })),
            "few bytes are not the whole"
        );
    });
}

#[test]
fn a_service_that_is_slow_is_waited_for() {
    let slow = Harm::Slow(100_000, Duration::from_millis(20));
    with_harm(slow, |store, harmed| async move {
        let asset = harmed.put_bytes(content().into(), MimeType::unknown()).await.unwrap();
        assert!(harmed.bytes(&asset.digest, None).await.unwrap() == content());
        assert_eq!(store.head(&asset.digest).await.unwrap(), asset);
    });
}

/// The variable that makes the test below the child that it starts.
const CHILD: &str = "MCP_JUPYTER_TEST_ASSETS_OPEN";

/// The environment belongs to a whole process, so the store is opened in one of its own.
#[test]
fn a_store_is_opened_by_its_address_with_credentials_from_the_environment() {
    if let Ok(address) = std::env::var(CHILD) {
        let put = async {
            let store = ObjectAssets::open(&address).unwrap();
            assert_eq!(store.to_string(), address);
            store.put_bytes("from a child".into(), MimeType::plain()).await.unwrap()
        };
        let asset = runtime().block_on(put);
        assert_eq!(asset.length, 12);
        return;
    }
    let Some(port) = s3::port() else { return };
    let prefix = s3::fresh_prefix();
    let name = "assets::failures::a_store_is_opened_by_its_address_with_credentials_from_the_environment";
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name])
        .env(CHILD, format!("s3://{}/{prefix}", s3::BUCKET))
        .env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{port}"))
        .env("AWS_ACCESS_KEY_ID", "key")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    runtime().block_on(async {
        let store = s3::store(port, &prefix);
        let digest = mcp_jupyter_core::model::Digest::of(b"from a child");
        assert_eq!(store.bytes(&digest, None).await.unwrap(), "from a child");
        let objects = Arc::new(s3::client(port));
        let digits = digest.hex();
        let key = format!("{prefix}/sha256/{}/{digits}", &digits[..2]);
        objects.head(&Key::from(key)).await.unwrap();
    });
}
