//! The identity of cells that come without one, or with one that another cell has.

use std::collections::HashSet;

use sha2::{Digest, Sha256};

use super::cell::Cell;
use super::place::Place;
use super::validate::Quirk;
use crate::model::{CellId, Json};

/// Bytes of the digest that become an id: short enough to be typed, and with 48 bits a second attempt is rare.
const ID_BYTES: usize = 6;

/// Gives every cell its final id; before, `cell.id` is the one found in the file, empty where there is none.
///
/// Of several cells with one id the first keeps it, as in nbformat's `validate`. A derived id is never one that the
/// file holds elsewhere.
pub(super) fn settle(cells: &mut [Cell], minor: i64, quirks: &mut Vec<Quirk>) {
    let mut seen: HashSet<&CellId> = HashSet::with_capacity(cells.len());
    let keep: Vec<bool> = cells
        .iter()
        .map(|cell| !cell.id.as_str().is_empty() && seen.insert(&cell.id))
        .collect();
    if minor >= 5 {
        quirks.extend(
            cells
                .iter()
                .zip(&keep)
                .enumerate()
                .filter_map(|(position, (cell, keeps))| {
                    let cells = Place::Document.member("cells");
                    let what = quirk(cell.id.as_str(), *keeps)?;
                    Some(Quirk::new(cells.item(position).member("id"), what))
                }),
        );
    }
    if keep.contains(&false) {
        give_ids(cells, &keep);
    }
}

fn give_ids(cells: &mut [Cell], keep: &[bool]) {
    let mut taken: HashSet<CellId> = cells.iter().map(|cell| cell.id.clone()).collect();
    for (position, cell) in cells.iter_mut().enumerate().filter(|(position, _)| !keep[*position]) {
        cell.id = derive(position, cell.source(), &taken);
        taken.insert(cell.id.clone());
    }
}

fn quirk(found: &str, is_first: bool) -> Option<String> {
    if found.is_empty() {
        Some("no id; one was derived from position and source".to_owned())
    } else if !is_first {
        Some(format!("{found:?} is the id of an earlier cell; another was derived"))
    } else if !is_valid(found) {
        Some(format!(
            "{found:?} is kept, but 1 to 64 of a-z, A-Z, 0-9, '-' and '_' were expected"
        ))
    } else {
        None
    }
}

/// Whether `id` is what nbformat 4.5 allows as one.
pub(in crate::session) fn is_valid(id: &str) -> bool {
    (1..=64).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// The id of a cell at `position` with `source`: the same whenever the same file is read.
fn derive(position: usize, source: &str, taken: &HashSet<CellId>) -> CellId {
    (0..=taken.len() as u64)
        .map(|attempt| {
            let digest = Sha256::new()
                .chain_update((position as u64).to_le_bytes())
                .chain_update(attempt.to_le_bytes())
                .chain_update(source)
                .finalize();
            CellId::from(hex::encode(&digest[..ID_BYTES]))
        })
        .find(|id| !taken.contains(id))
        .expect("of more digests than there are ids one is free")
}

/// An id that comes from `seed`, the same for the same seed as long as it is free.
pub(super) fn fresh_id(seed: &[&str], is_free: impl Fn(&CellId) -> bool) -> CellId {
    (0..=u64::MAX)
        .map(|attempt| {
            let mut hasher = Sha256::new_with_prefix(attempt.to_le_bytes());
            for part in seed {
                hasher.update((part.len() as u64).to_le_bytes());
                hasher.update(part);
            }
            CellId::from(hex::encode(&hasher.finalize()[..ID_BYTES]))
        })
        .find(is_free)
        .expect("of more digests than there are ids one is free")
}

/// Whether cells below nbformat 4.5 have the ids that reading them from a file gives, and not those of an earlier
/// state.
pub(super) fn are_derived(cells: &[Cell]) -> bool {
    let found = |cell: &Cell| {
        cell.rest
            .get("id")
            .and_then(Json::as_str)
            .map_or("".into(), |id| CellId::from(&*id))
    };
    let mut read: Vec<Cell> = cells
        .iter()
        .map(|cell| Cell::new_markdown(found(cell), cell.source()))
        .collect();
    settle(&mut read, 0, &mut Vec::new());
    read.iter().map(Cell::id).eq(cells.iter().map(Cell::id))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn settled(found: &[(String, String)], minor: i64) -> (Vec<CellId>, Vec<Quirk>) {
        let mut cells: Vec<Cell> = found
            .iter()
            .map(|(id, source)| Cell::new_markdown(id.as_str().into(), source))
            .collect();
        let mut quirks = Vec::new();
        settle(&mut cells, minor, &mut quirks);
        (cells.into_iter().map(|cell| cell.id).collect(), quirks)
    }

    proptest! {
        #[test]
        fn ids_are_unique_valid_and_the_same_every_time(
            found in prop::collection::vec(("|a|b|c|[a-z]{1,3}", "x|y|[ -~]{0,9}"), 0..40),
        ) {
            let (ids, _) = settled(&found, 5);
            prop_assert_eq!(ids.iter().collect::<HashSet<_>>().len(), found.len());
            prop_assert!(ids.iter().all(|id| is_valid(id.as_str())));
            prop_assert_eq!(&settled(&found, 5).0, &ids);
            prop_assert_eq!(&settled(&found, 4).0, &ids);
            for (index, (id, _)) in found.iter().enumerate() {
                if !id.is_empty() && found[..index].iter().all(|(earlier, _)| earlier != id) {
                    prop_assert_eq!(ids[index].as_str(), id);
                }
            }
        }

        #[test]
        fn settled_ids_stay(found in prop::collection::vec(("|a|b", "[ -~]{0,9}"), 0..40)) {
            let (ids, _) = settled(&found, 5);
            let again: Vec<_> =
                ids.iter().zip(&found).map(|(id, (_, source))| (id.to_string(), source.clone())).collect();
            prop_assert_eq!(settled(&again, 5), (ids, Vec::new()));
        }
    }

    #[test]
    fn a_derived_id_makes_way_for_one_that_a_later_cell_has() {
        let alone = settled(&[(String::new(), "x".to_owned())], 5).0;
        let later = (alone[0].to_string(), "y".to_owned());
        let (ids, _) = settled(&[(String::new(), "x".to_owned()), later], 5);
        assert_ne!(ids[0], alone[0]);
        assert_eq!(ids[1], alone[0]);
    }

    #[test]
    fn quirks_below_4_5_are_not_about_ids() {
        let found = [(String::new(), "x".to_owned()), ("a.b".to_owned(), "y".to_owned())];
        assert!(settled(&found, 4).1.is_empty());
        let quirks = settled(&found, 5).1;
        assert_eq!(quirks[0].place, "cells[0].id");
        assert!(quirks[1].what.contains("a.b"));
    }
}
