//! Summaries: bullets in English, each with the sentences of the Arabic article that it rests on.

mod article;
mod compress;
mod cues;
mod rank;
mod stem;
mod units;

pub use article::{Article, Articles, Role, Sentence};
pub use rank::{Candidate, Choice, Options, Weights, choose};
pub use stem::stem;
pub use units::{Unit, shown, units};
