//! Summaries: bullets in English, each with the sentences of the Arabic article that it rests on.
//!
//! ```text
//! bytes ─ article ─> sentences, and what each is: headline, heading, cell, prose
//!       extractive:  units, compress ─> clauses ─ rank ─> those that cover the article ─> translated
//!       abstractive: windows, generate ─> sentences of a model ─ rank ─> those that say something new
//!                    attribute ─> the sentences each rests on
//!       ─ claims ──> numbers and names from nowhere
//!       ─> summary::Summary ─ output ─> text | markdown | json
//! ```

mod article;
mod attribute;
mod claims;
mod compress;
mod cues;
mod generate;
mod names;
mod numbers;
mod output;
mod rank;
mod stem;
mod summary;
mod units;
mod windows;

pub use article::{Article, Articles, Passage, Role, Sentence};
pub use attribute::{Citation, LEAST_SUPPORT, attribute};
pub use generate::{Summarizer, Written};
pub use output::{Document, json, markdown, text};
pub use rank::{Candidate, Choice, Options, Weights, choose};
pub use stem::{normalized, stem};
pub use summary::{Bullet, Reads, Summary, Translate, Write, extract, generate};
pub use units::{Unit, shown, units};
pub use windows::windows;
