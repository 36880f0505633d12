//! What an agent is shown: short, exact, and with the call that gets what was left out.

mod cells;
mod outputs;
mod runs;
mod text;
mod traceback;

pub(super) use cells::{Outline, cell_line, named, short, source_block};
pub(super) use outputs::{Page, asset_of, image_of, text_of};
pub(super) use runs::{run_state, show_progress, show_run};
pub(super) use text::{bounded, cleaned, lines_of};
