//! Placeholder for the tokenizer room, filled next.
