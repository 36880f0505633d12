use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! string_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<String> for $name {
            fn from(id: String) -> Self {
                Self(id)
            }
        }

        impl From<&str> for $name {
            fn from(id: &str) -> Self {
                Self(id.to_owned())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

string_id! {
    /// The identity of a cell: its nbformat `id`, never its index.
    CellId
}
string_id! {
    /// One kernel of ours, across its restarts.
    KernelId
}
string_id! {
    /// One question of a cell to whoever is to answer.
    InputId
}
string_id! {
    /// One pass over a plan.
    RunId
}
string_id! {
    /// A notebook and its kernel.
    SessionId
}

impl KernelId {
    /// A new identifier.
    pub fn random() -> Self {
        Self(Uuid::new_v4().to_string())
    }
}

impl RunId {
    /// A new identifier.
    pub fn random() -> Self {
        Self(Uuid::new_v4().to_string())
    }
}

impl SessionId {
    /// A new identifier.
    pub fn random() -> Self {
        Self(Uuid::new_v4().to_string())
    }
}
