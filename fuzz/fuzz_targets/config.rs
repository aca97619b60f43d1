//! Any bytes as config.json and as generation_config.json: an error or a configuration.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use tarjim::checkpoint::GenerationConfig;

fuzz_target!(|bytes: &[u8]| {
    let _ = GenerationConfig::parse(Path::new("config.json"), bytes);
});
