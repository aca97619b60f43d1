//! Ctrl-C, and being told to end: the first time what is in work is brought to an end, the second
//! time the program ends at once.

use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::cli::{INTERRUPTED, Volume, say};

static ASKED: AtomicU32 = AtomicU32::new(0);

/// Listens from now on. Not if a signal is ignored, as under nohup: then it stays ignored, and the
/// others end the program at once.
pub fn listen(volume: Volume) {
    let _ = ctrlc::try_set_handler(move || match ASKED.fetch_add(1, Ordering::SeqCst) {
        0 if volume == Volume::Quiet => {}
        0 => say("stopping when what is in work is done; once more to stop at once"),
        _ => process::exit(INTERRUPTED.into()),
    });
}

/// Whether the run is to end.
pub fn asked() -> bool {
    ASKED.load(Ordering::SeqCst) > 0
}
