//! Speed of decoding a fixed workload: some sources, all outputs of one length. Prints one JSON
//! object, as scripts/compare/compare.py wants it.
//!
//! ```text
//! cargo bench --bench decode -- FOLDER --compute int8 --threads 2 --cases b64k4,b1k1 --runs 3
//! ```
//!
//! `FOLDER` holds `hf/` (a checkpoint) and `ids64.json` (sources); a case names sources and beams.
#![allow(clippy::print_stdout)] // What a benchmark measures is its output.
#![allow(clippy::unwrap_used, missing_docs)]

use std::path::Path;
use std::time::Instant;

use serde_json::json;
use tarjim::checkpoint::Checkpoint;
use tarjim::decode::{Options, generate};
use tarjim::models;
use tarjim::nn::Compute;
use tarjim::translate::BATCH_TOKENS;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Tokens of every output.
const LENGTH: usize = 30;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let option = |name: &str, default: &str| {
        let at = args.iter().position(|arg| arg == name);
        at.and_then(|at| args.get(at + 1)).map_or(default.to_string(), String::clone)
    };
    let Some(folder) = args.first().map(Path::new) else {
        println!("FOLDER is missing: nothing is measured");
        return;
    };
    let compute = match option("--compute", "int8").as_str() {
        "float32" => Compute::Float32,
        _ => Compute::Int8,
    };
    let threads: usize = option("--threads", "2").parse().unwrap();
    let runs: usize = option("--runs", "3").parse().unwrap();
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().unwrap();

    let ids = std::fs::read_to_string(folder.join("ids64.json")).unwrap();
    let sources: Vec<Vec<u32>> = serde_json::from_str(&ids).unwrap();
    let began = Instant::now();
    let checkpoint = Checkpoint::open(&folder.join("hf")).unwrap().prepared_in(folder);
    let model = models::load(&checkpoint, None, compute).unwrap();
    let load = began.elapsed().as_secs_f64();

    let options = |beams: usize, length: usize| Options {
        num_beams: beams,
        max_length: length,
        min_length: length,
        ..Options::new(checkpoint.generation(), model.info())
    };
    // From a sentence to its first token.
    let first_ms = (0..10).map(|_| {
        let began = Instant::now();
        generate(model.as_ref(), &[&sources[0]], &options(1, 1), BATCH_TOKENS).unwrap();
        began.elapsed().as_secs_f64() * 1e3
    });
    let first_ms = first_ms.fold(f64::INFINITY, f64::min);
    let mut cases = serde_json::Map::new();
    for case in option("--cases", "b64k1,b64k4,b16k1,b16k4,b1k1,b1k4").split(',') {
        let (batch, beams) = case[1..].split_once('k').unwrap();
        let (batch, beams): (usize, usize) = (batch.parse().unwrap(), beams.parse().unwrap());
        let options = options(beams, LENGTH);
        let batch: Vec<&[u32]> = sources[..batch].iter().map(Vec::as_slice).collect();
        let mut seconds = Vec::new();
        // The first run warms up.
        for run in 0..=runs * if batch.len() == 1 { 3 } else { 1 } {
            let began = Instant::now();
            let found = generate(model.as_ref(), &batch, &options, BATCH_TOKENS).unwrap();
            assert!(found.iter().all(|hypotheses| hypotheses[0].ids.len() == LENGTH));
            if run > 0 {
                seconds.push(began.elapsed().as_secs_f64());
            }
        }
        let rates = seconds.iter().map(|s| (batch.len() * LENGTH) as f64 / s);
        cases.insert(case.into(), json!({"tok_s": rates.collect::<Vec<_>>()}));
    }
    let result =
        json!({"load_s": load, "first_ms": first_ms, "peak_rss_mib": peak_mib(), "cases": cases});
    println!("{result}");
}

/// Most memory used so far, where the system tells.
fn peak_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.split_whitespace().next()?.parse::<f64>().ok()? / 1024.0)
}
