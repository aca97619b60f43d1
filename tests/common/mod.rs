//! What the tests of batches share: the program with the toy model, and sentences it knows.

use std::process::{Command, Stdio};

/// "The minister arrived at Cairo".
pub const ARRIVED: &str = "وصل الوزير إلى القاهرة";
/// "The man left the market".
pub const LEFT: &str = "خرج الرجل من السوق";

/// `tarjim translate` with the toy model.
pub fn translate(args: &[&str]) -> Command {
    let mut command = tarjim();
    command.args(["translate", "--model", "tests/golden/toy", "--no-self-test"]).args(args);
    command
}

/// `tarjim`, as if nothing were set up.
pub fn tarjim() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tarjim"));
    for (name, _) in std::env::vars() {
        if name.starts_with("HF_") || name.starts_with("TARJIM_") {
            command.env_remove(name);
        }
    }
    command.env("HF_HUB_OFFLINE", "1").env("XDG_CONFIG_HOME", "/nowhere");
    // On a slow machine lines would come between.
    command.env("TARJIM_PROGRESS", "none");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}
