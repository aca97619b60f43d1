//! The `tarjim` program: parse, dispatch, print the error and its hint, exit code.

fn main() {}
