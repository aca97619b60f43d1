//! Arabic to English translation on the reader's own CPU, with the source of every word.
//!
//! Data flows one way:
//!
//! ```text
//! bytes ─ input ─> text ─ text::segment ─> sentences ─ tokenizer ─> ids ─ decode (models, nn) ─>
//! hypotheses ─ tokenizer ─> English ─ align ─> word links ─ restore ─> Translation ─ output ─> bytes
//! ```

pub mod align;
pub mod check;
pub mod checkpoint;
pub mod decode;
pub mod error;
pub mod eval;
pub mod hub;
pub mod input;
pub mod models;
pub mod nn;
pub mod output;
pub mod restore;
pub mod summarize;
pub mod text;
pub mod tokenizer;
pub mod translate;

pub use error::{Error, Result};
