//! Where edges run: beside the column of cells, in lanes, each taken by one writer at a time.

use std::collections::BTreeMap;

use super::Arc;

/// The lane of each node that anything depends on, the first being next to the cells, and how many lanes there are.
///
/// All edges of a writer share its lane, from its row down to its last reader's. Short ones come first, so that they
/// stay near to the cells and cross little. Where one ends, in the upper half of a row, another may begin.
pub(super) fn lanes(nodes: usize, edges: &[Arc<'_>]) -> (Vec<Option<usize>>, usize) {
    let mut ends: Vec<usize> = vec![0; nodes];
    for edge in edges {
        ends[edge.from] = ends[edge.from].max(edge.to);
    }
    let mut writers: Vec<(usize, usize)> = (0..nodes)
        .map(|from| (from, ends[from]))
        .filter(|(from, to)| to > from)
        .collect();
    writers.sort_by_key(|(from, to)| (to - from, *from));
    let mut taken: Vec<BTreeMap<usize, usize>> = Vec::new();
    let mut lanes = vec![None; nodes];
    for (from, to) in writers {
        let free = taken.iter().position(|lane| is_free(lane, from, to));
        let lane = free.unwrap_or(taken.len());
        if lane == taken.len() {
            taken.push(BTreeMap::new());
        }
        taken[lane].insert(from, to);
        lanes[from] = Some(lane);
    }
    (lanes, taken.len())
}

/// Whether nothing in the lane, which maps starts to ends, is between the two rows.
fn is_free(lane: &BTreeMap<usize, usize>, from: usize, to: usize) -> bool {
    let before = lane.range(..to).next_back();
    before.is_none_or(|(_, end)| *end <= from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arcs(pairs: &[(usize, usize)]) -> Vec<Arc<'static>> {
        pairs.iter().map(|&(from, to)| Arc { from, to, names: &[] }).collect()
    }

    #[test]
    fn a_chain_needs_one_lane_and_a_star_too() {
        let chain = arcs(&[(0, 1), (1, 2), (2, 3)]);
        assert_eq!(lanes(4, &chain), (vec![Some(0), Some(0), Some(0), None], 1));
        let star = arcs(&[(0, 1), (0, 2), (0, 3)]);
        assert_eq!(lanes(4, &star), (vec![Some(0), None, None, None], 1));
    }

    #[test]
    fn long_ones_go_around_short_ones() {
        let edges = arcs(&[(0, 3), (1, 2), (2, 3)]);
        assert_eq!(lanes(4, &edges), (vec![Some(1), Some(0), Some(0), None], 2));
    }

    #[test]
    fn two_writers_never_share_a_lane_at_one_row() {
        let edges: Vec<_> = (0..200)
            .flat_map(|to| {
                (0..to)
                    .filter(move |from| (to * 7 + from * 13) % 11 == 0)
                    .map(move |from| (from, to))
            })
            .collect();
        let edges = arcs(&edges);
        let (lanes, count) = lanes(200, &edges);
        let mut rows = vec![vec![None; count]; 200];
        for edge in &edges {
            let lane = lanes[edge.from].unwrap();
            for row in &mut rows[edge.from..edge.to] {
                assert!(row[lane].is_none_or(|writer| writer == edge.from));
                row[lane] = Some(edge.from);
            }
        }
    }

    #[test]
    fn thousands_of_cells_are_laid_out_at_once() {
        let chain: Vec<_> = (0..10_000).map(|from| (from, from + 1)).collect();
        assert_eq!(lanes(10_001, &arcs(&chain)).1, 1);
        let nested: Vec<_> = (0..2_000).map(|from| (from, 4_000 - from)).collect();
        assert_eq!(lanes(4_001, &arcs(&nested)).1, 2_000);
    }
}
