//! The notebook document.
