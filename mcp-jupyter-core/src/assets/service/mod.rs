//! A store of assets for other processes.

mod answered;
mod uploads;

use std::sync::Arc;

use bytes::Bytes;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::sync::mpsc;
use tonic::{Request, Response, Status, Streaming, async_trait};

use self::answered::Answered;
use self::uploads::Uploads;
use super::convert::{digest, to_status};
use super::{AssetError, AssetStore, Reference};
use crate::model::Digest;
use crate::rpc::pb::asset_service_server::AssetService;
use crate::rpc::{Metrics, pb, required, timestamp, to_timestamp};

/// How many bytes a message has at most.
const CHUNK: usize = 1 << 20;

/// How many things a message lists at most.
const LISTED: usize = 256;

/// Answers clients for a store.
#[derive(Debug)]
pub(crate) struct AssetsOverGrpc {
    store: Arc<dyn AssetStore>,
    uploads: Arc<Uploads>,
    collected: Arc<Answered<bool>>,
    metrics: Arc<Metrics>,
}

impl AssetsOverGrpc {
    pub(crate) fn new(store: Arc<dyn AssetStore>, metrics: &Arc<Metrics>) -> Self {
        Self {
            uploads: Arc::new(Uploads::new(Arc::clone(&store), Arc::clone(metrics))),
            metrics: Arc::clone(metrics),
            store,
            collected: Arc::default(),
        }
    }
}

type Answer<T> = Result<Response<T>, Status>;
type Answers<T> = BoxStream<'static, Result<T, Status>>;

/// Many things in few messages, those that are there at once together.
fn in_batches<T: Send + 'static, M: 'static>(
    things: BoxStream<'static, Result<T, AssetError>>,
    message: impl Fn(Vec<T>) -> M + Send + 'static,
) -> Response<Answers<M>> {
    let batches = things.ready_chunks(LISTED).map(move |batch| {
        let batch: Result<Vec<T>, AssetError> = batch.into_iter().collect();
        batch.map(&message).map_err(to_status)
    });
    Response::new(batches.boxed())
}

/// The bytes in messages of a size that suits the way.
fn in_chunks(bytes: &Bytes) -> impl futures_core::Stream<Item = Result<pb::GetResponse, Status>> + Send + use<> {
    let starts = (0..bytes.len()).step_by(CHUNK);
    let chunks: Vec<_> = starts
        .map(|start| {
            let chunk = bytes.slice(start..bytes.len().min(start + CHUNK));
            Ok(pb::GetResponse { chunk })
        })
        .collect();
    stream::iter(chunks)
}

#[async_trait]
impl AssetService for AssetsOverGrpc {
    type CreateStream = Answers<pb::CreateResponse>;

    async fn create(&self, request: Request<Streaming<pb::CreateRequest>>) -> Answer<Self::CreateStream> {
        // Two answers at most.
        let (answers, received) = mpsc::channel(2);
        let uploads = Arc::clone(&self.uploads);
        // By a task of its own, so that what has arrived is kept when the client is gone.
        tokio::spawn(async move {
            if let Err(status) = uploads.take(request.into_inner(), &answers).await {
                let _ = answers.send(Err(status)).await;
            }
        });
        let answers = stream::unfold(received, |mut received| async {
            let answer = received.recv().await?;
            Some((answer, received))
        });
        Ok(Response::new(answers.boxed()))
    }

    type GetStream = Answers<pb::GetResponse>;

    async fn get(&self, request: Request<pb::GetRequest>) -> Answer<Self::GetStream> {
        let request = request.into_inner();
        let range = request.range.map(|range| range.start..range.end);
        let content = self.store.get(&digest(&request.digest)?, range).await;
        let sent = self.metrics.bytes_out.clone();
        let content = content.map_err(to_status)?.map_err(to_status);
        let content = content.inspect_ok(move |bytes| {
            sent.inc_by(bytes.len() as u64);
        });
        Ok(Response::new(
            content.map_ok(|bytes| in_chunks(&bytes)).try_flatten().boxed(),
        ))
    }

    async fn head(&self, request: Request<pb::HeadRequest>) -> Answer<pb::HeadResponse> {
        let asset = self.store.head(&digest(&request.into_inner().digest)?).await;
        let asset = Some(asset.map_err(to_status)?.into());
        Ok(Response::new(pb::HeadResponse { asset }))
    }

    type ListStream = Answers<pb::ListResponse>;

    async fn list(&self, _: Request<pb::ListRequest>) -> Answer<Self::ListStream> {
        Ok(in_batches(self.store.list(), |assets| pb::ListResponse {
            assets: assets.into_iter().map(Into::into).collect(),
        }))
    }

    async fn delete(&self, request: Request<pb::DeleteRequest>) -> Answer<pb::DeleteResponse> {
        let digest = digest(&request.into_inner().digest)?;
        self.store.delete(&digest).await.map_err(to_status)?;
        Ok(Response::new(pb::DeleteResponse {}))
    }

    async fn add_reference(&self, request: Request<pb::AddReferenceRequest>) -> Answer<pb::AddReferenceResponse> {
        let request = request.into_inner();
        let digest = digest(&request.digest)?;
        let reference: Reference = required(request.reference, "reference")?;
        let added = self.store.add_reference(&digest, &reference).await;
        added.map_err(to_status)?;
        Ok(Response::new(pb::AddReferenceResponse {}))
    }

    async fn remove_reference(
        &self,
        request: Request<pb::RemoveReferenceRequest>,
    ) -> Answer<pb::RemoveReferenceResponse> {
        let request = request.into_inner();
        let digest = digest(&request.digest)?;
        let reference: Reference = required(request.reference, "reference")?;
        let removed = self.store.remove_reference(&digest, &reference).await;
        removed.map_err(to_status)?;
        Ok(Response::new(pb::RemoveReferenceResponse {}))
    }

    async fn references(&self, request: Request<pb::ReferencesRequest>) -> Answer<pb::ReferencesResponse> {
        let digest = digest(&request.into_inner().digest)?;
        let references = self.store.references(&digest).await.map_err(to_status)?;
        let references = references.into_iter().map(Into::into).collect();
        Ok(Response::new(pb::ReferencesResponse { references }))
    }

    type ListReferencesStream = Answers<pb::ListReferencesResponse>;

    async fn list_references(&self, _: Request<pb::ListReferencesRequest>) -> Answer<Self::ListReferencesStream> {
        let one = |(digest, reference): (Digest, Reference)| pb::list_references_response::DigestReference {
            digest: digest.to_string(),
            reference: Some(reference.into()),
        };
        let references = self.store.list_references();
        Ok(in_batches(references, move |batch| pb::ListReferencesResponse {
            references: batch.into_iter().map(one).collect(),
        }))
    }

    async fn mark(&self, request: Request<pb::MarkRequest>) -> Answer<pb::MarkResponse> {
        let marked = self.store.mark(&digest(&request.into_inner().digest)?).await;
        let marked = Some(timestamp(marked.map_err(to_status)?));
        Ok(Response::new(pb::MarkResponse { marked }))
    }

    async fn unmark(&self, request: Request<pb::UnmarkRequest>) -> Answer<pb::UnmarkResponse> {
        let digest = digest(&request.into_inner().digest)?;
        self.store.unmark(&digest).await.map_err(to_status)?;
        Ok(Response::new(pb::UnmarkResponse {}))
    }

    type ListMarksStream = Answers<pb::ListMarksResponse>;

    async fn list_marks(&self, _: Request<pb::ListMarksRequest>) -> Answer<Self::ListMarksStream> {
        let one = |(digest, marked): (Digest, jiff::Timestamp)| pb::list_marks_response::DigestMark {
            digest: digest.to_string(),
            marked: Some(timestamp(marked)),
        };
        Ok(in_batches(self.store.list_marks(), move |batch| {
            pb::ListMarksResponse {
                marks: batch.into_iter().map(one).collect(),
            }
        }))
    }

    async fn collect(&self, request: Request<pb::CollectRequest>) -> Answer<pb::CollectResponse> {
        let request = request.into_inner();
        let digest = digest(&request.digest)?;
        let until = to_timestamp(request.marked_until)?;
        let store = Arc::clone(&self.store);
        let collecting = async move { store.collect(&digest, until).await };
        let collected = self.collected.once(request.idempotency_key, collecting).await;
        let collected = collected.map_err(to_status)?;
        Ok(Response::new(pb::CollectResponse { collected }))
    }
}
