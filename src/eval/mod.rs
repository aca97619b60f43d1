//! Placeholder for the eval room, filled next.
