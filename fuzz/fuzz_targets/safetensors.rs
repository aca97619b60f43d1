//! Any bytes as model.safetensors: an error or tensors. Seeds: tests/golden/checkpoints.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use tarjim::checkpoint::Weights;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(weights) = Weights::from_bytes(Path::new("model.safetensors"), bytes.to_vec()) {
        for name in weights.names() {
            if let Some(shape) = weights.shape(name) {
                let _ = weights.get(name, shape);
            }
        }
    }
});
