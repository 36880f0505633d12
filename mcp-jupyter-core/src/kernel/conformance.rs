//! What every kernel backend must do.
