use std::collections::{HashMap, HashSet};

use crate::model::CellId;
use crate::session::notebook::align::moved;

/// The order of the cells that are kept: that of the side that has moved cells, of theirs where both have or none. What
/// the other side alone has comes after the cell that it came after there, behind what was inserted there too.
pub(super) fn interleave<'i>(
    base: &'i [CellId],
    ours: &'i [CellId],
    theirs: &'i [CellId],
    is_kept: impl Fn(&CellId) -> bool,
) -> Vec<CellId> {
    let sets = [base, ours, theirs].map(|side| side.iter().collect::<HashSet<_>>());
    let is_common = |id: &&CellId| sets.iter().all(|set| set.contains(id));
    // A cell that one side lacks has no say: it may be gone from the result, which has to be in order by itself.
    let common = |side: &'i [CellId]| side.iter().filter(is_common);
    let has_moved = |side| !moved(common(base), common(side)).is_empty();
    let (spine, other) = if has_moved(ours) && !has_moved(theirs) {
        (ours, theirs)
    } else {
        (theirs, ours)
    };
    let spine: Vec<&CellId> = spine.iter().filter(|id| is_kept(id)).collect();
    let in_spine: HashSet<&CellId> = spine.iter().copied().collect();
    let (in_base, in_other): (HashSet<_>, HashSet<_>) = (base.iter().collect(), other.iter().collect());
    let mut following: HashMap<Option<&CellId>, Vec<CellId>> = HashMap::new();
    let mut last = None;
    for id in other.iter().filter(|id| is_kept(id)) {
        if in_spine.contains(id) {
            last = Some(id);
        } else {
            following.entry(last).or_default().push(id.clone());
        }
    }
    let mut order = Vec::new();
    let mut pending = following.remove(&None).unwrap_or_default();
    for id in spine {
        if in_other.contains(id) || in_base.contains(id) {
            order.append(&mut pending);
        }
        order.push(id.clone());
        pending.extend(following.remove(&Some(id)).unwrap_or_default());
    }
    order.append(&mut pending);
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(base: &str, ours: &str, theirs: &str, without: &str) -> String {
        let ids = |text: &str| text.chars().map(|id| id.to_string().into()).collect::<Vec<CellId>>();
        let is_kept = |id: &CellId| !without.contains(id.as_str());
        let order = interleave(&ids(base), &ids(ours), &ids(theirs), is_kept);
        order.iter().map(CellId::as_str).collect()
    }

    #[test]
    fn the_order_is_that_of_who_moved() {
        assert_eq!(order("abcd", "dabc", "abcd", ""), "dabc");
        assert_eq!(order("abcd", "abcd", "dabc", ""), "dabc");
        assert_eq!(order("abcd", "badc", "dabc", ""), "dabc");
    }

    #[test]
    fn insertions_of_both_sides_stay_where_they_were() {
        assert_eq!(order("ab", "aob", "atb", ""), "atob");
        assert_eq!(order("ab", "oab", "tab", ""), "toab");
        assert_eq!(order("ab", "abop", "abt", ""), "abtop");
        assert_eq!(order("abc", "cabo", "abtc", ""), "cabot");
        assert_eq!(order("", "op", "t", ""), "top");
    }

    #[test]
    fn deleted_cells_leave_the_others_in_place() {
        assert_eq!(order("abc", "ac", "abtc", "b"), "atc");
        assert_eq!(order("abc", "abc", "ac", ""), "abc");
        assert_eq!(order("abc", "aboc", "c", "a"), "boc");
    }
}
