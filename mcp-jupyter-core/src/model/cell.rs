use serde::{Deserialize, Serialize};

use super::ids::CellId;

/// A cell of a notebook, by its identity and by where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellRef {
    /// The cell's identity.
    pub id: CellId,
    /// Its place in the notebook, all cells counted, from 0.
    pub index: usize,
}
