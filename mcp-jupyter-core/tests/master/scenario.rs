//! What is done to a notebook, one thing after the other.

use std::fmt;

use crate::cells;
use crate::helper::Helper;
use crate::random::Random;

/// A cell: its number, which it keeps, and its source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) number: usize,
    pub(crate) source: String,
}

/// Something that is done. Places are taken modulo the number of cells, so that each makes sense without those before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    Insert(usize, String),
    Edit(usize, String),
    Delete(usize),
    Move(usize, usize),
    Duplicate(usize),
    Run(Run),
    Restart,
    /// A smart run of the whole notebook, after which everything has to be as after a fresh one.
    Sync,
}

/// A run whose result may be anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Run {
    Cell(usize),
    Downstream(usize),
    Range(usize, usize),
    Incremental,
    Append,
    Full,
    GoOn,
    GoOnIndependent,
}

#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Scenario(pub(crate) Vec<Deed>);

impl fmt::Debug for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|deed| match deed {
            Deed::Insert(place, source) => writeln!(f, "  insert at {place}:\n{}", indented(source)),
            Deed::Edit(place, source) => writeln!(f, "  edit {place}:\n{}", indented(source)),
            deed => writeln!(f, "  {deed:?}"),
        })
    }
}

pub(crate) fn indented(source: &str) -> String {
    let lines: Vec<String> = source.lines().map(|line| format!("        {line}")).collect();
    lines.join("\n")
}

const LARGEST_PLACE: usize = 840;

/// How many cells are tried where one is to fit.
const CANDIDATES: usize = 5;

impl Scenario {
    /// Most cells fit where they come, so that not every run fails.
    pub(crate) fn draw(seed: u64, helper: &mut Helper) -> Self {
        let mut random = Random(seed);
        let mut deeds: Vec<Deed> = beginning(&mut random, helper);
        let mut cells = Cells::numbered_from(0);
        for deed in &deeds {
            cells.apply(deed);
        }
        for _ in 0..=random.below(6) {
            for _ in 0..=random.below(2) {
                deeds.push(change(&mut random, &cells, helper));
                cells.apply(deeds.last().unwrap());
            }
            if random.chance(20) {
                deeds.push(Deed::Run(run(&mut random)));
                if random.chance(40) {
                    deeds.push(change(&mut random, &cells, helper));
                    cells.apply(deeds.last().unwrap());
                }
            }
            if random.chance(80) {
                deeds.extend(repairs(&mut random, &mut cells, helper));
            }
            deeds.push(Deed::Sync);
        }
        Self(deeds)
    }
}

fn candidates(random: &mut Random) -> Vec<String> {
    let count = if random.chance(88) { CANDIDATES } else { 1 };
    (0..count).map(|_| cells::cell(random)).collect()
}

fn beginning(random: &mut Random, helper: &mut Helper) -> Vec<Deed> {
    let mut drawn = vec![vec![cells::beginning(random, true)]];
    drawn.extend((0..random.below(5)).map(|_| vec![cells::beginning(random, false)]));
    drawn.extend((0..2 + random.below(8)).map(|_| candidates(random)));
    let chosen = helper.choose(&drawn);
    let cells = chosen.iter().zip(drawn).enumerate();
    let inserted = cells.map(|(place, (chosen, mut drawn))| Deed::Insert(place, drawn.swap_remove(*chosen)));
    inserted.chain([Deed::Sync]).collect()
}

/// A cell that fits where `place` is; in the place of the one that is there, or above it.
fn fitting(random: &mut Random, cells: &Cells, place: usize, replaces: bool, helper: &mut Helper) -> String {
    let mut drawn: Vec<Vec<String>> = cells.cells.iter().map(|cell| vec![cell.source.clone()]).collect();
    drawn.splice(place..place + usize::from(replaces), [candidates(random)]);
    let chosen = helper.choose(&drawn)[place];
    drawn.swap_remove(place).swap_remove(chosen)
}

/// Edits of the cells that raise.
fn repairs(random: &mut Random, cells: &mut Cells, helper: &mut Helper) -> Vec<Deed> {
    let mut edits = Vec::new();
    for _ in 0..4 {
        let sources: Vec<&str> = cells.cells.iter().map(|cell| cell.source.as_str()).collect();
        let Some(failed) = helper.fresh(&sources).failed else {
            break;
        };
        edits.push(Deed::Edit(failed, fitting(random, cells, failed, true, helper)));
        cells.apply(&edits[edits.len() - 1]);
    }
    edits
}

/// Seldom of the first cell: without its names, nothing works.
fn change(random: &mut Random, cells: &Cells, helper: &mut Helper) -> Deed {
    let spared = usize::from(random.chance(90));
    let place = spared + random.below(cells.cells.len().saturating_sub(spared).max(1));
    let place = place.min(cells.cells.len().saturating_sub(1));
    match random.below(100) {
        0..45 if !cells.cells.is_empty() => Deed::Edit(place, fitting(random, cells, place, true, helper)),
        0..60 => Deed::Insert(place, fitting(random, cells, place, false, helper)),
        60..75 => Deed::Delete(place),
        75..88 => Deed::Move(place, random.below(LARGEST_PLACE)),
        88..94 => Deed::Duplicate(place),
        94..97 => Deed::Edit(place, "# a comment".to_owned()),
        97 => Deed::Edit(place, String::new()),
        _ => Deed::Restart,
    }
}

fn run(random: &mut Random) -> Run {
    let place = random.below(LARGEST_PLACE);
    match random.below(10) {
        0..3 => Run::Cell(place),
        3 => Run::Downstream(place),
        4 => Run::Range(place, random.below(LARGEST_PLACE)),
        5 => Run::Incremental,
        6 => Run::Append,
        7 => Run::Full,
        8 => Run::GoOn,
        _ => Run::GoOnIndependent,
    }
}

/// The cells as the deeds leave them.
#[derive(Debug)]
pub(crate) struct Cells {
    pub(crate) cells: Vec<Cell>,
    made: usize,
}

impl Cells {
    pub(crate) fn numbered_from(first: usize) -> Self {
        Self {
            cells: Vec::new(),
            made: first,
        }
    }

    pub(crate) fn place(&self, place: usize) -> usize {
        place % self.cells.len().max(1)
    }

    /// Changes the cells as the deed says; nothing where it says something else.
    pub(crate) fn apply(&mut self, deed: &Deed) {
        let count = self.cells.len();
        match deed {
            Deed::Insert(place, source) => self.insert(place % (count + 1), source.clone()),
            _ if count == 0 => {}
            Deed::Edit(place, source) => self.cells[place % count].source.clone_from(source),
            Deed::Delete(place) => {
                self.cells.remove(place % count);
            }
            Deed::Move(from, to) => {
                let moved = self.cells.remove(from % count);
                self.cells.insert(to % count, moved);
            }
            Deed::Duplicate(place) => self.insert(place % count + 1, self.cells[place % count].source.clone()),
            Deed::Run(_) | Deed::Restart | Deed::Sync => {}
        }
    }

    fn insert(&mut self, place: usize, source: String) {
        let number = self.made;
        self.made += 1;
        self.cells.insert(place, Cell { number, source });
    }
}
