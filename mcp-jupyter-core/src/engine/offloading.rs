//! How a run takes outputs in where the large ones go elsewhere.

use std::sync::Arc;

use crate::assets::AssetError;
use crate::model::{CellId, CellRef, Output};

use super::cell_outputs::OutputChange;
use super::event::RunEvent;
use super::live_kernel::LiveKernel;
use super::offload::Offload;
use super::outcome::sentence;
use super::redacting::Redacting;
use super::run::RunLoop;

impl RunLoop {
    /// Takes in a change to the outputs of a cell.
    pub(super) async fn take_in(&mut self, live: &mut LiveKernel, cell: &CellRef, change: OutputChange) {
        match self.setup.offload.clone() {
            Some(offload) => self.apply_offloading(live, cell, change, &offload).await,
            None => self.apply(live, cell, change),
        }
        self.saver.touch(&cell.id);
        self.saver.changed();
    }

    /// The cell has ended: what was held back of its outputs is taken in.
    pub(super) async fn close_cell(&mut self, live: &mut LiveKernel, cell: &CellRef) {
        let held = self.redacting.as_mut().and_then(|redacting| redacting.flush(&cell.id));
        if let Some(change) = held {
            self.take_in(live, cell, change).await;
        }
        self.close_stream(&cell.id).await;
    }

    /// The run has ended, and with it what cells have left running.
    pub(super) async fn close_all(&mut self, live: &mut LiveKernel) {
        let held = self.redacting.as_ref().map(Redacting::cells).unwrap_or_default();
        for cell in held.into_iter().chain(self.streams.cells()) {
            if let Some(cell) = self.place_of(&cell) {
                self.close_cell(live, &cell).await;
            }
        }
    }

    /// Applies a change to the outputs of a cell; what is too large of it goes to the store.
    pub(super) async fn apply_offloading(
        &mut self,
        live: &mut LiveKernel,
        cell: &CellRef,
        mut change: OutputChange,
        offload: &Offload,
    ) {
        let is_cleared = live.outputs.is_cleared_next(&cell.id);
        if !is_cleared && self.streams.goes_on(&self.notebook, cell, &change) {
            return self.add_to_stream(cell, change).await;
        }
        match &mut change {
            OutputChange::Clear { wait: false } => self.streams.discard(&cell.id),
            OutputChange::Append(..) if is_cleared => self.streams.discard(&cell.id),
            OutputChange::Append(..) => self.close_stream(&cell.id).await,
            OutputChange::Clear { wait: true } | OutputChange::Update(..) => {}
        }
        let bundle = match &mut change {
            OutputChange::Update(_, data, metadata)
            | OutputChange::Append(
                Output::DisplayData { data, metadata } | Output::ExecuteResult { data, metadata, .. },
                _,
            ) => Some((data, metadata)),
            _ => None,
        };
        if let Some((data, metadata)) = bundle {
            let name = self.setup.notebook_path();
            if let Err(error) = offload.display(data, metadata, &name, &cell.id).await {
                self.warn_of(&cell.id, &error);
            }
        }
        let is_stream = matches!(change, OutputChange::Append(Output::Stream { .. }, _));
        self.apply(live, cell, change);
        if is_stream {
            let notebook = Arc::make_mut(&mut self.notebook);
            self.streams.take_over(offload, notebook, cell).await;
        }
    }

    async fn add_to_stream(&mut self, cell: &CellRef, change: OutputChange) {
        let OutputChange::Append(output, _) = change else {
            return;
        };
        if self.log.is_read() {
            let (cell, output) = (cell.clone(), output.clone());
            self.emit(RunEvent::Output { cell, output });
        }
        if let Output::Stream { text, .. } = output {
            self.streams.add(cell, text).await;
        }
    }

    /// Nothing more can be added to the stream that is the cell's last output.
    pub(super) async fn close_stream(&mut self, cell: &CellId) {
        let Some(offload) = &self.setup.offload else { return };
        let name = self.setup.notebook_path();
        let notebook = Arc::make_mut(&mut self.notebook);
        if let Err(error) = self.streams.close(offload, notebook, &name, cell).await {
            self.warn_of(cell, &error);
        }
        self.saver.touch(cell);
        self.saver.changed();
    }

    fn warn_of(&mut self, cell: &CellId, error: &AssetError) {
        self.warn(format!(
            "an output of cell {cell} stays in the notebook, for it was not stored: {}",
            sentence(error)
        ));
    }
}
