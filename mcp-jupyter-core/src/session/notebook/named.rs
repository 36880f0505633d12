//! Cells as people name them.

use super::document::Notebook;
use crate::model::CellId;
use crate::session::SessionError;

/// The candidates that an error lists.
const LISTED: usize = 5;

impl Notebook {
    /// Where the cell stands that `name` means: its id, its index from 0 (`#3`, or `3` where there is such a cell), or
    /// the start of its id, if no other cell's id starts so.
    ///
    /// # Errors
    /// [`SessionError::InvalidRequest`], which says what could have been meant.
    pub fn find(&self, name: &str) -> Result<usize, SessionError> {
        if let Some(position) = self.position(&CellId::from(name)) {
            return Ok(position);
        }
        if let Some(index) = name.strip_prefix('#').and_then(number) {
            return self.at_index(index);
        }
        let by_start = self.starting_with(name);
        match (by_start.as_slice(), number(name)) {
            (_, Some(index)) if index < self.cells().len() => Ok(index),
            ([position], _) => Ok(*position),
            ([], Some(index)) => self.at_index(index),
            ([], None) => Err(SessionError::InvalidRequest(format!(
                "the notebook has no cell `{name}`; name one by its id, by the start of its id, or by its index from 0, \
                 such as `#3`"
            ))),
            (several, _) => Err(SessionError::InvalidRequest(format!(
                "several cells have an id that starts with `{name}`: {}",
                self.list(several)
            ))),
        }
    }

    fn at_index(&self, index: usize) -> Result<usize, SessionError> {
        let cells = self.cells().len();
        if index < cells {
            return Ok(index);
        }
        Err(SessionError::InvalidRequest(format!(
            "the notebook has no cell #{index}: its {cells} cells are counted from 0"
        )))
    }

    fn starting_with(&self, start: &str) -> Vec<usize> {
        if start.is_empty() {
            return Vec::new();
        }
        let cells = self.cells().iter().enumerate();
        cells
            .filter(|(_, cell)| cell.id().as_str().starts_with(start))
            .map(|(position, _)| position)
            .collect()
    }

    fn list(&self, positions: &[usize]) -> String {
        let named = positions.iter().take(LISTED);
        let mut list: Vec<_> = named
            .map(|position| format!("`{}` (#{position})", self.cells()[*position].id()))
            .collect();
        if positions.len() > LISTED {
            list.push(format!("and {} more", positions.len() - LISTED));
        }
        list.join(", ")
    }
}

fn number(text: &str) -> Option<usize> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::notebook::Cell;

    fn found(name: &str) -> Result<usize, String> {
        let mut notebook =
            Notebook::parse(br#"{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}"#).unwrap();
        *notebook.cells_mut() = ["load", "loaded", "plot", "1", "77aa"]
            .map(|id| Cell::new_code(id.into(), "x"))
            .to_vec();
        notebook.find(name).map_err(|error| error.to_string())
    }

    #[test]
    fn ids_come_before_indices_and_those_before_starts_of_ids() {
        assert_eq!(found("load"), Ok(0));
        assert_eq!(found("1"), Ok(3));
        assert_eq!(found("#1"), Ok(1));
        assert_eq!(found("2"), Ok(2));
        assert_eq!(found("77"), Ok(4));
        assert_eq!(found("pl"), Ok(2));
    }

    #[test]
    fn what_could_be_meant_is_said() {
        assert_eq!(
            found("lo").unwrap_err(),
            "several cells have an id that starts with `lo`: `load` (#0), `loaded` (#1)"
        );
        let range = "the notebook has no cell #9: its 5 cells are counted from 0";
        assert_eq!(
            (found("#9"), found("9")),
            (Err(range.to_owned()), Err(range.to_owned()))
        );
        for name in ["", "x", "#", "#x", "+1", "#+1"] {
            assert!(
                found(name).unwrap_err().contains("the notebook has no cell `"),
                "{name}"
            );
        }
    }
}
