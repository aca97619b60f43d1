//! Placeholder for the checkpoint room, filled next.
