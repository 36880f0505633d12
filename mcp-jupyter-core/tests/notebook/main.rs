//! The notebook document: agreement with Python's nbformat, what is refused and what is tolerated, and saving.

mod agreement;
mod generated;
mod oracle;
mod reading;
mod saving;
