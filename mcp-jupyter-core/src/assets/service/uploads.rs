//! Content on its way in. What has arrived of an upload that was broken off is kept for a while.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tonic::{Status, Streaming};

use crate::assets::convert::{digest, mime, to_status};
use crate::assets::{AssetError, AssetMetadata, AssetStore, MimeType, Staging};
use crate::model::Digest;
use crate::rpc::pb::create_request::{Begin, Message};
use crate::rpc::{Metrics, malformed, pb};

/// How many broken uploads are kept, and how long.
const MOST_BROKEN: usize = 16;
const KEPT: Duration = Duration::from_secs(600);

/// All uploads.
#[derive(Debug)]
pub(super) struct Uploads {
    store: Arc<dyn AssetStore>,
    /// Oldest first.
    broken: Mutex<Vec<(Instant, Upload)>>,
    metrics: Arc<Metrics>,
}

/// One of them.
#[derive(Debug)]
struct Upload {
    digest: Digest,
    length: u64,
    mime: MimeType,
    staging: Staging,
    received: u64,
}

type Requests = Streaming<pb::CreateRequest>;
type Answers = mpsc::Sender<Result<pb::CreateResponse, Status>>;

impl Uploads {
    pub(super) fn new(store: Arc<dyn AssetStore>, metrics: Arc<Metrics>) -> Self {
        Self {
            store,
            metrics,
            broken: Mutex::default(),
        }
    }

    /// Takes in one upload, and answers it.
    pub(super) async fn take(&self, mut requests: Requests, answers: &Answers) -> Result<(), Status> {
        use pb::create_response::{Message as Answer, Ready};
        let first = requests.message().await?.and_then(|request| request.message);
        let Some(Message::Begin(begin)) = first else {
            return Err(malformed("beginning").into());
        };
        let mut upload = self.begin(begin)?;
        let answer = |message| Ok(pb::CreateResponse { message: Some(message) });
        let offset = upload.received;
        let _ = answers.send(answer(Answer::Ready(Ready { offset }))).await;
        let received = upload.receive(&mut requests).await;
        self.metrics.bytes_in.inc_by(upload.received - offset);
        if let Err(status) = received {
            self.keep(upload);
            return Err(status);
        }
        let created = self.finish(upload).await.map_err(to_status)?;
        let _ = answers.send(answer(Answer::Created(created.into()))).await;
        Ok(())
    }

    fn begin(&self, begin: Begin) -> Result<Upload, Status> {
        let digest = digest(&begin.digest)?;
        let mime = mime(begin.mime)?;
        let mut broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        broken.retain(|(since, _)| since.elapsed() < KEPT);
        let place = broken
            .iter()
            .position(|(_, upload)| upload.digest == digest && upload.length == begin.length);
        Ok(match place {
            Some(place) => Upload {
                mime,
                ..broken.remove(place).1
            },
            None => Upload {
                digest,
                length: begin.length,
                mime,
                staging: Staging::new(self.store.staging_folder()),
                received: 0,
            },
        })
    }

    fn keep(&self, upload: Upload) {
        let mut broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        if broken.len() >= MOST_BROKEN {
            broken.remove(0);
        }
        broken.push((Instant::now(), upload));
    }

    async fn finish(&self, mut upload: Upload) -> Result<AssetMetadata, AssetError> {
        let staged = upload.staging.finish(upload.mime).await?;
        if staged.digest != upload.digest {
            return Err(AssetError::Corrupt {
                store: self.store.to_string(),
                what: format!("upload {}", upload.digest),
                reason: format!("what has arrived is {}", staged.digest),
            });
        }
        self.store.create(&staged).await
    }
}

impl Upload {
    /// Takes in the rest. An error means that it may come later, unless it is of the content itself.
    async fn receive(&mut self, requests: &mut Requests) -> Result<(), Status> {
        while let Some(request) = requests.message().await? {
            let Some(Message::Chunk(chunk)) = request.message else {
                return Err(malformed("chunk").into());
            };
            if self.received + chunk.len() as u64 > self.length {
                let more = AssetError::invalid(
                    format!("upload {}", self.digest),
                    format!("there are more than the {} bytes that were announced", self.length),
                );
                return Err(to_status(more));
            }
            self.staging.write(&chunk).await.map_err(to_status)?;
            self.received += chunk.len() as u64;
        }
        if self.received < self.length {
            return Err(Status::cancelled("the upload was broken off"));
        }
        Ok(())
    }
}
