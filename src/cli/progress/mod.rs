//! What goes on, for the reader who waits, on stderr: downloads and translations.

mod hub;
mod meter;

pub use hub::HubProgress;
pub use meter::{Meter, ProgressArg};
