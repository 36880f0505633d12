//! A store of assets in another process.

use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use tokio::sync::mpsc;
use tonic::transport::Channel;
use tonic::{Response, Status, Streaming};
use uuid::Uuid;

use super::convert::{digest as read_digest, from_status};
use super::{AssetError, AssetMetadata, AssetStore, ByteStream, Reference, StagedAsset};
use crate::model::Digest;
use crate::rpc::pb::asset_service_client::AssetServiceClient;
use crate::rpc::{
    Attempt, ClientSettings, Endpoint, Link, Malformed, Trouble, all, cause, is_away, pb, required, timestamp,
    to_timestamp,
};

/// How many bytes are sent in a message.
const CHUNK: usize = 1 << 20;

/// How many messages wait for the connection to take them.
const AHEAD: usize = 2;

/// Keeps assets in an asset service.
///
/// What is put is staged on this machine's disk first, so that nothing is lost while the service is away; the connection
/// comes back by itself, and uploads and downloads go on where they were. It needs a tokio runtime.
#[derive(Clone, Debug)]
pub struct RemoteAssets {
    link: Arc<Link>,
    name: Arc<str>,
}

impl RemoteAssets {
    /// Connects to the service.
    ///
    /// # Errors
    /// [`AssetError::Unavailable`] where nobody answers, [`AssetError::Unsupported`] where that is no asset service or one
    /// of another time, [`AssetError::Denied`] where it does not let us in.
    pub async fn connect(endpoint: Endpoint, settings: &ClientSettings) -> Result<Self, AssetError> {
        let name = format!("the asset service at {endpoint}");
        let link = Link::open(endpoint, pb::ServiceKind::Assets, settings).await;
        let link = link.map_err(|trouble| error(&name, "connect", trouble))?;
        Ok(Self {
            link: Arc::new(link),
            name: name.into(),
        })
    }

    /// Calls the service, as often as it takes.
    async fn call<T, F>(&self, action: &str, call: impl Fn(Service) -> F) -> Result<T, AssetError>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let called = self.link.call(|attempt| {
            let calling = call(Service::new(attempt));
            async move { calling.await.map(Response::into_inner) }
        });
        called.await.map_err(|trouble| error(&self.name, action, trouble))
    }

    fn error(&self, action: &str, status: Status) -> AssetError {
        let trouble = if is_away(&status) {
            Trouble::Away(status)
        } else {
            Trouble::Answered(status)
        };
        error(&self.name, action, trouble)
    }

    /// What the service has said, if it makes sense.
    fn read<T>(&self, answer: Result<T, Malformed>) -> Result<T, AssetError> {
        answer.map_err(|error| AssetError::Unsupported {
            what: format!(
                "{} has given an answer that this program does not understand: {error}",
                self.name
            ),
        })
    }

    /// All that a call lists.
    fn listed<M, T, F>(
        &self,
        call: impl Fn(Service) -> F + Send + Sync + 'static,
        read: impl Fn(M) -> Result<Vec<T>, Malformed> + Send + Sync + 'static,
    ) -> BoxStream<'static, Result<T, AssetError>>
    where
        M: Send + 'static,
        T: Send + 'static,
        F: Future<Output = Result<Response<Streaming<M>>, Status>> + Send + 'static,
    {
        const ACTION: &str = "list what is there";
        let assets = self.clone();
        let opened = async move {
            let messages = assets.call(ACTION, call).await?;
            Ok::<_, AssetError>(messages.map(move |message| {
                let message = message.map_err(|status| assets.error(ACTION, status))?;
                assets.read(read(message)).map(|things| stream::iter(things).map(Ok))
            }))
        };
        stream::once(opened).try_flatten().try_flatten().boxed()
    }
}

/// What has happened to a call, in the words of the domain.
fn error(store: &str, action: &str, trouble: Trouble) -> AssetError {
    let (store, action) = (store.to_owned(), action.to_owned());
    match trouble {
        Trouble::Away(status) => AssetError::Unavailable {
            store,
            action,
            source: cause(&status).into(),
        },
        Trouble::Denied(status) => AssetError::Denied {
            store,
            action,
            source: status.message().into(),
        },
        Trouble::Incompatible(what) => AssetError::Unsupported { what },
        Trouble::Answered(status) => from_status(&status).unwrap_or_else(|| AssetError::Unsupported {
            what: format!("{store} has refused to {action}: {}", status.message()),
        }),
    }
}

/// One call's way to the service.
struct Service {
    client: AssetServiceClient<Channel>,
    attempt: Attempt,
}

impl Service {
    fn new(attempt: Attempt) -> Self {
        let client = AssetServiceClient::new(attempt.channel.clone());
        Self { client, attempt }
    }
}

/// Uploads what is staged, from where an earlier attempt was broken off.
async fn upload(mut service: Service, staged: StagedAsset) -> Result<pb::AssetMetadata, Status> {
    use pb::create_request::{Begin, Message};
    use pb::create_response::Message as Answer;
    let (requests, mut queue) = mpsc::channel(AHEAD);
    let begin = Message::Begin(Begin {
        digest: staged.digest.to_string(),
        length: staged.length,
        mime: staged.mime.to_string(),
    });
    let _ = requests.send(request(begin)).await;
    let queue = stream::poll_fn(move |context| queue.poll_recv(context));
    let call = service.attempt.stream(queue);
    let mut answers = service.client.create(call).await?.into_inner();
    let Some(Answer::Ready(ready)) = answers.message().await?.and_then(|answer| answer.message) else {
        return Err(broken_off());
    };
    let sending = send_from(&requests, &staged, ready.offset);
    // Where the service answers before it has all, that is why it does not want the rest.
    tokio::select! {
        biased;
        sent = sending => sent?,
        answer = answers.message() => return created(answer?),
    }
    drop(requests);
    created(answers.message().await?)
}

/// It may be tried again.
fn broken_off() -> Status {
    Status::unavailable("the upload was broken off")
}

fn request(message: pb::create_request::Message) -> pb::CreateRequest {
    pb::CreateRequest { message: Some(message) }
}

fn created(answer: Option<pb::CreateResponse>) -> Result<pb::AssetMetadata, Status> {
    match answer.and_then(|answer| answer.message) {
        Some(pb::create_response::Message::Created(asset)) => Ok(asset),
        _ => Err(broken_off()),
    }
}

async fn send_from(
    requests: &mpsc::Sender<pb::CreateRequest>,
    staged: &StagedAsset,
    mut offset: u64,
) -> Result<(), Status> {
    while offset < staged.length {
        let from = staged.clone();
        let read = tokio::task::spawn_blocking(move || from.read_at(offset, CHUNK)).await;
        let chunk = read.map_err(std::io::Error::other).flatten();
        let chunk = Bytes::from(chunk.map_err(|error| Status::internal(format!("staging: {error}")))?);
        offset += chunk.len() as u64;
        let sent = requests.send(request(pb::create_request::Message::Chunk(chunk))).await;
        if sent.is_err() {
            // The service has ended the call; its answer says why.
            return std::future::pending().await;
        }
    }
    Ok(())
}

/// A download that goes on after the connection was cut.
struct Download {
    assets: RemoteAssets,
    digest: Digest,
    range: Option<Range<u64>>,
    received: u64,
    chunks: Streaming<pb::GetResponse>,
}

const READ: &str = "read an asset";

impl Download {
    async fn open(
        assets: &RemoteAssets,
        digest: &Digest,
        range: Option<Range<u64>>,
    ) -> Result<Streaming<pb::GetResponse>, AssetError> {
        let range = range.map(|range| pb::get_request::Range {
            start: range.start,
            end: range.end,
        });
        let opened = assets.call(READ, |mut service| {
            let digest = digest.to_string();
            async move {
                let call = service.attempt.stream(pb::GetRequest { digest, range });
                service.client.get(call).await
            }
        });
        opened.await
    }

    async fn next(&mut self) -> Result<Option<Bytes>, AssetError> {
        loop {
            match self.chunks.message().await {
                Ok(Some(response)) => {
                    self.received += response.chunk.len() as u64;
                    return Ok(Some(response.chunk));
                }
                Ok(None) => return Ok(None),
                Err(status) if is_away(&status) => self.go_on().await?,
                Err(status) => return Err(self.assets.error(READ, status)),
            }
        }
    }

    /// Asks for what is still missing.
    async fn go_on(&mut self) -> Result<(), AssetError> {
        let whole = match self.range.clone() {
            Some(range) => range,
            None => 0..self.assets.head(&self.digest).await?.length,
        };
        let rest = whole.start + self.received..whole.end;
        self.chunks = Self::open(&self.assets, &self.digest, Some(rest)).await?;
        Ok(())
    }
}

impl fmt::Display for RemoteAssets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// Calls a method of the service with a request that is made anew for each attempt.
macro_rules! call {
    ($assets:expr, $action:literal, $method:ident($request:expr)) => {{
        let request = $request;
        $assets
            .call($action, |mut service: Service| {
                let request = service.attempt.request(request.clone());
                async move { service.client.$method(request).await }
            })
            .await
    }};
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl AssetStore for RemoteAssets {
    fn staging_folder(&self) -> Option<&Path> {
        None
    }

    async fn create(&self, staged: &StagedAsset) -> Result<AssetMetadata, AssetError> {
        let created = self.link.call(|attempt| upload(Service::new(attempt), staged.clone()));
        let created = created
            .await
            .map_err(|trouble| error(&self.name, "put an asset", trouble))?;
        self.read(created.try_into())
    }

    async fn get(&self, digest: &Digest, range: Option<Range<u64>>) -> Result<ByteStream, AssetError> {
        let download = Download {
            chunks: Download::open(self, digest, range.clone()).await?,
            assets: self.clone(),
            digest: *digest,
            range,
            received: 0,
        };
        let content = stream::try_unfold(download, |mut download| async {
            let chunk = download.next().await?;
            Ok(chunk.map(|chunk| (chunk, download)))
        });
        Ok(content.boxed())
    }

    /// None: the file, if there is one, is the service's.
    async fn open_file(&self, _: &Digest) -> Result<Option<std::fs::File>, AssetError> {
        Ok(None)
    }

    async fn head(&self, digest: &Digest) -> Result<AssetMetadata, AssetError> {
        let digest = digest.to_string();
        let answer = call!(self, "look for an asset", head(pb::HeadRequest { digest }))?;
        self.read(required(answer.asset, "metadata"))
    }

    fn list(&self) -> BoxStream<'static, Result<AssetMetadata, AssetError>> {
        self.listed(
            |mut service| async move { service.client.list(service.attempt.stream(pb::ListRequest {})).await },
            |message: pb::ListResponse| all(message.assets),
        )
    }

    async fn delete(&self, digest: &Digest) -> Result<(), AssetError> {
        let digest = digest.to_string();
        call!(self, "delete an asset", delete(pb::DeleteRequest { digest }))?;
        Ok(())
    }

    async fn add_reference(&self, digest: &Digest, reference: &Reference) -> Result<(), AssetError> {
        let request = pb::AddReferenceRequest {
            digest: digest.to_string(),
            reference: Some(reference.clone().into()),
        };
        call!(self, "refer to an asset", add_reference(request))?;
        Ok(())
    }

    async fn remove_reference(&self, digest: &Digest, reference: &Reference) -> Result<(), AssetError> {
        let request = pb::RemoveReferenceRequest {
            digest: digest.to_string(),
            reference: Some(reference.clone().into()),
        };
        call!(self, "remove a reference", remove_reference(request))?;
        Ok(())
    }

    async fn references(&self, digest: &Digest) -> Result<Vec<Reference>, AssetError> {
        let digest = digest.to_string();
        let answer = call!(
            self,
            "look for references",
            references(pb::ReferencesRequest { digest })
        )?;
        self.read(all(answer.references))
    }

    fn list_references(&self) -> BoxStream<'static, Result<(Digest, Reference), AssetError>> {
        let read = |message: pb::ListReferencesResponse| {
            let one = |listed: pb::list_references_response::DigestReference| {
                Ok((read_digest(&listed.digest)?, required(listed.reference, "reference")?))
            };
            message.references.into_iter().map(one).collect()
        };
        self.listed(
            |mut service| async move {
                let call = service.attempt.stream(pb::ListReferencesRequest {});
                service.client.list_references(call).await
            },
            read,
        )
    }

    async fn mark(&self, digest: &Digest) -> Result<Timestamp, AssetError> {
        let digest = digest.to_string();
        let answer = call!(self, "mark an asset", mark(pb::MarkRequest { digest }))?;
        self.read(to_timestamp(answer.marked))
    }

    async fn unmark(&self, digest: &Digest) -> Result<(), AssetError> {
        let digest = digest.to_string();
        call!(self, "unmark an asset", unmark(pb::UnmarkRequest { digest }))?;
        Ok(())
    }

    fn list_marks(&self) -> BoxStream<'static, Result<(Digest, Timestamp), AssetError>> {
        let read = |message: pb::ListMarksResponse| {
            let one = |listed: pb::list_marks_response::DigestMark| {
                Ok((read_digest(&listed.digest)?, to_timestamp(listed.marked)?))
            };
            message.marks.into_iter().map(one).collect()
        };
        self.listed(
            |mut service| async move {
                let call = service.attempt.stream(pb::ListMarksRequest {});
                service.client.list_marks(call).await
            },
            read,
        )
    }

    async fn collect(&self, digest: &Digest, marked_until: Timestamp) -> Result<bool, AssetError> {
        let request = pb::CollectRequest {
            digest: digest.to_string(),
            marked_until: Some(timestamp(marked_until)),
            idempotency_key: Uuid::new_v4().to_string(),
        };
        let answer = call!(self, "collect an asset", collect(request))?;
        Ok(answer.collected)
    }
}
