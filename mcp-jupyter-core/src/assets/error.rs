use crate::error::ErrorKind;
use crate::model::Digest;

/// What can go wrong with assets.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AssetError {
    /// The store has no such asset.
    #[error("{store} has no asset {digest}")]
    NotFound {
        /// Which store.
        store: String,
        /// The asset.
        digest: Digest,
    },
    /// What was asked for makes no sense: a store's address, a range, a name.
    #[error("{what}: {reason}")]
    Invalid {
        /// The thing.
        what: String,
        /// What is wrong with it, and what was expected.
        reason: String,
    },
    /// The bytes are not those that the digest names, or a record cannot be read.
    #[error("{store}: {what} is damaged: {reason}")]
    Corrupt {
        /// Which store.
        store: String,
        /// The asset or record.
        what: String,
        /// How that shows.
        reason: String,
    },
    /// This build, or this backend, lacks it.
    #[error("{what}")]
    Unsupported {
        /// What is missing, and where it can be had.
        what: String,
    },
    /// The store refuses us.
    #[error("{store} refuses access: {action}")]
    Denied {
        /// Which store.
        store: String,
        /// What was attempted.
        action: String,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A store over the network does not answer, or breaks off; later it may succeed.
    #[error("{store} cannot be reached: {action}")]
    Unavailable {
        /// Which store.
        store: String,
        /// What was attempted.
        action: String,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The operating system refused.
    #[error("{store}: {action}")]
    Io {
        /// Which store, or `staging`.
        store: String,
        /// What was attempted.
        action: String,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
}

impl AssetError {
    /// What a caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::Invalid { .. } => ErrorKind::InvalidRequest,
            Self::Corrupt { .. } => ErrorKind::Corrupt,
            Self::Unsupported { .. } => ErrorKind::Unsupported,
            Self::Unavailable { .. } => ErrorKind::Unavailable,
            Self::Denied { .. } | Self::Io { .. } => ErrorKind::Io,
        }
    }

    pub(crate) fn invalid(what: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Invalid {
            what: what.into(),
            reason: reason.into(),
        }
    }
}
