//! Between the scheduler's types and those of the protocol. Nothing is lost on the way, and what comes in is checked.

mod error;
mod plan;
mod run;
mod step;

pub(super) use error::{from_status, to_status};

use crate::model::{CellId, CellRef};
use crate::rpc::{Malformed, malformed, pb};

/// Two enums whose variants have the same meanings; what the protocol does not specify is nothing.
macro_rules! same_variants {
    ($domain:ty = $proto:ty: $($variant:ident)*) => {
        impl From<$domain> for $proto {
            fn from(value: $domain) -> Self {
                match value { $(<$domain>::$variant => Self::$variant,)* }
            }
        }

        impl TryFrom<$proto> for $domain {
            type Error = crate::rpc::Malformed;

            fn try_from(value: $proto) -> Result<Self, crate::rpc::Malformed> {
                match value {
                    $(<$proto>::$variant => Ok(Self::$variant),)*
                    <$proto>::Unspecified => Err(crate::rpc::malformed(stringify!($domain))),
                }
            }
        }
    };
}
use same_variants;

impl From<CellRef> for pb::CellRef {
    fn from(cell: CellRef) -> Self {
        Self {
            id: cell.id.as_str().to_owned(),
            index: cell.index as u64,
        }
    }
}

impl TryFrom<pb::CellRef> for CellRef {
    type Error = Malformed;

    fn try_from(cell: pb::CellRef) -> Result<Self, Malformed> {
        Ok(Self {
            id: cell.id.into(),
            index: usize::try_from(cell.index).map_err(|_| malformed("index"))?,
        })
    }
}

/// Many of them, on their way out.
fn out<T, U: From<T>>(values: impl IntoIterator<Item = T>) -> Vec<U> {
    values.into_iter().map(U::from).collect()
}

fn text(id: &CellId) -> String {
    id.as_str().to_owned()
}
