//! Outputs of the beam search against transformers' `generate()`, on seeded random checkpoints.
//! The values were made by scripts/reference/marian.py and t5.py.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value};
use tarjim::checkpoint::{Checkpoint, GenerationConfig};
use tarjim::decode::{Hypothesis, Options, force, generate};
use tarjim::models::{Seq2Seq, load};
use tarjim::nn::Compute;

#[derive(Deserialize)]
struct Golden {
    sources: Vec<Vec<u32>>,
    generate: Vec<Run>,
}

#[derive(Deserialize)]
struct Run {
    /// Arguments of `generate()`, over those of config.json.
    settings: Map<String, Value>,
    /// For each source, its outputs, best first.
    outputs: Vec<Vec<Output>>,
}

#[derive(Deserialize)]
struct Output {
    ids: Vec<u32>,
    score: Option<f32>,
}

const SHAPES: [&str; 8] = [
    "marian/opus",
    "marian/separate",
    "marian/untied",
    "marian/prenorm",
    "t5/t5",
    "t5/v1_1",
    "t5/mt5",
    "t5/silu",
];

fn folder(shape: &str) -> PathBuf {
    Path::new("tests/golden").join(shape)
}

fn golden(shape: &str) -> Golden {
    let text = std::fs::read_to_string(folder(shape).join("golden.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn model(shape: &str, compute: Compute) -> (Checkpoint, Box<dyn Seq2Seq>) {
    let checkpoint = Checkpoint::open(&folder(shape)).unwrap();
    let model = load(&checkpoint, None, compute).unwrap();
    (checkpoint, model)
}

fn options(checkpoint: &Checkpoint, model: &dyn Seq2Seq, settings: &Map<String, Value>) -> Options {
    let mut merged = checkpoint.config().clone();
    merged.extend(settings.clone());
    let bytes = serde_json::to_vec(&merged).unwrap();
    let generation = GenerationConfig::parse(Path::new("settings"), &bytes).unwrap();
    let n_best = settings.get("num_return_sequences").and_then(Value::as_u64).unwrap_or(1);
    Options { n_best: n_best as usize, ..Options::new(&generation, model.info()) }
}

fn slices(sources: &[Vec<u32>]) -> Vec<&[u32]> {
    sources.iter().map(Vec::as_slice).collect()
}

#[test]
fn outputs_and_scores_equal_transformers() {
    let mut compared = 0;
    for shape in SHAPES {
        let golden = golden(shape);
        let (checkpoint, model) = model(shape, Compute::Float32);
        for run in &golden.generate {
            let options = options(&checkpoint, model.as_ref(), &run.settings);
            let outputs =
                generate(model.as_ref(), &slices(&golden.sources), &options, 1000).unwrap();
            for (n, (ours, theirs)) in outputs.iter().zip(&run.outputs).enumerate() {
                let what = format!("{shape} source {n} {:?}", run.settings);
                let ids: Vec<&[u32]> = ours.iter().map(|h| h.ids.as_slice()).collect();
                let expected: Vec<&[u32]> = theirs.iter().map(|h| h.ids.as_slice()).collect();
                assert_eq!(ids, expected, "{what}");
                for (ours, theirs) in ours.iter().zip(theirs) {
                    if let Some(score) = theirs.score {
                        assert!(
                            (ours.score - score).abs() < 1e-4,
                            "{what}: {} {score}",
                            ours.score
                        );
                    }
                    compared += 1;
                }
            }
        }
    }
    assert!(compared > 900, "{compared}");
}

#[test]
fn batches_and_threads_change_nothing() {
    for (shape, compute) in SHAPES.iter().flat_map(|s| [(s, Compute::Float32), (s, Compute::Int8)])
    {
        let golden = golden(shape);
        let (checkpoint, model) = model(shape, compute);
        let settings = Map::from_iter([("num_return_sequences".into(), Value::from(3))]);
        let options = options(&checkpoint, model.as_ref(), &settings);
        let sources = slices(&golden.sources);
        let run = |threads: usize, batch_tokens: usize| -> Vec<Vec<Hypothesis>> {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| generate(model.as_ref(), &sources, &options, batch_tokens)).unwrap()
        };
        let expected = run(1, 1);
        for (threads, batch_tokens) in [(1, 10), (1, 1000), (2, 10), (3, 1000), (4, 20)] {
            assert_eq!(
                run(threads, batch_tokens),
                expected,
                "{shape} {compute:?} {threads} {batch_tokens}"
            );
        }
    }
}

#[test]
fn forcing_an_output_gives_what_writing_it_gave() {
    for (shape, compute) in SHAPES.iter().flat_map(|s| [(s, Compute::Float32), (s, Compute::Int8)])
    {
        let golden = golden(shape);
        let (checkpoint, model) = model(shape, compute);
        let options = options(&checkpoint, model.as_ref(), &Map::new());
        let sources = slices(&golden.sources);
        let written = generate(model.as_ref(), &sources, &options, 1000).unwrap();
        let pairs: Vec<_> =
            sources.iter().zip(&written).map(|(s, h)| (*s, h[0].ids.as_slice())).collect();
        let forced = force(model.as_ref(), &pairs, 1000).unwrap();
        for (written, forced) in written.iter().map(|h| &h[0]).zip(&forced) {
            assert_eq!(forced.ids, written.ids);
            assert_eq!(forced.log_probs, written.log_probs);
            assert_eq!(forced.attention, written.attention);
        }
    }
}
