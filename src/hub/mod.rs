//! Placeholder for the hub room, filled next.
