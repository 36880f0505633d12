//! Stores on an S3 server, which is started once a process and ends with it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use mcp_jupyter_core::assets::conformance::Fixture;
use mcp_jupyter_core::assets::{AssetStore, ObjectAssets};
use mcp_jupyter_core::model::Digest;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path as Key;
use object_store::prefix::PrefixStore;
use object_store::{BackoffConfig, ClientOptions, ObjectStoreExt as _, RetryConfig};

use super::{FOREIGN, foreign};
use crate::support;

pub(super) const BUCKET: &str = "assets";

/// The server. It ends when its standard input does: with this process, however that ends.
#[derive(Debug)]
struct Server {
    _process: Child,
    port: u16,
}

/// The server's port; none where it cannot be had, which is said.
pub(super) fn port() -> Option<u16> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    SERVER.get_or_init(start).as_ref().map(|server| server.port)
}

fn start() -> Option<Server> {
    let python = support::python()?;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/conformance/assets/s3.py");
    let mut process = Command::new(&python)
        .args(["-I", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    // It says its port when it listens, and nothing when it has ended.
    BufReader::new(process.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let port = line.trim().parse();
    let port = port.unwrap_or_else(|_| panic!("the S3 server does not start with {}: run .ci/setup", python.display()));
    Some(Server {
        _process: process,
        port,
    })
}

/// A client of the server, or of what stands before it at another port. It tries again three times, soon.
pub(super) fn client(port: u16) -> AmazonS3 {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let retry = RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(1),
            max_backoff: Duration::from_millis(10),
            base: 2.,
        },
        max_retries: 3,
        retry_timeout: Duration::from_secs(20),
    };
    AmazonS3Builder::new()
        .with_endpoint(format!("http://127.0.0.1:{port}"))
        .with_bucket_name(BUCKET)
        .with_region("us-east-1")
        .with_access_key_id("key")
        .with_secret_access_key("secret")
        .with_client_options(ClientOptions::new().with_allow_http(true))
        .with_retry(retry)
        .build()
        .unwrap()
}

/// The store under a prefix of the bucket.
pub(super) fn store(port: u16, prefix: &str) -> ObjectAssets {
    let objects = PrefixStore::new(client(port), prefix);
    ObjectAssets::from_object_store(Arc::new(objects), &format!("s3://{BUCKET}/{prefix}"))
}

/// A prefix that nothing else uses.
pub(super) fn fresh_prefix() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

/// A store of its own on the server.
#[derive(Debug)]
pub(super) struct S3 {
    port: u16,
    prefix: String,
    planted: std::sync::Mutex<Vec<String>>,
}

impl S3 {
    /// None where there is no server.
    pub(super) fn new() -> Option<Self> {
        Some(Self {
            port: port()?,
            prefix: fresh_prefix(),
            planted: Vec::new().into(),
        })
    }

    fn objects(&self) -> PrefixStore<AmazonS3> {
        PrefixStore::new(client(self.port), &*self.prefix)
    }
}

#[async_trait]
impl Fixture for S3 {
    async fn store(&self) -> Arc<dyn AssetStore> {
        Arc::new(store(self.port, &self.prefix))
    }

    async fn again(&self) -> Arc<dyn AssetStore> {
        self.store().await
    }

    async fn plant(&self, asset: &Digest) -> bool {
        let objects = self.objects();
        for key in foreign(asset) {
            let put = objects.put(&Key::from(&*key), FOREIGN.into()).await;
            put.unwrap();
            self.planted.lock().unwrap().push(key);
        }
        true
    }

    async fn is_planted(&self) -> bool {
        let (objects, planted) = (self.objects(), self.planted.lock().unwrap().clone());
        for key in planted {
            let found = objects.get(&Key::from(&*key)).await;
            if found.unwrap().bytes().await.unwrap() != FOREIGN {
                return false;
            }
        }
        true
    }

    fn rounds(&self) -> u32 {
        8
    }
}
