//! Relative position biases (Raffel et al. 2020, section 2.1): what is added to an attention score
//! depends on how far the key stands from the query, near distances each for itself, far ones in
//! buckets that grow with the distance.

use candle_core::Tensor;

use crate::Result;

/// How distances are put into buckets.
#[derive(Debug, Clone, Copy)]
pub struct Buckets {
    /// Number of buckets, at least 4.
    pub count: usize,
    /// From this distance on, all share one bucket; more than half of `count`.
    pub max_distance: usize,
    /// Whether keys after the query have buckets of their own: half of all.
    pub both_sides: bool,
}

impl Buckets {
    /// The bucket of a key that stands `distance` after its query (negative: before), in the
    /// float32 arithmetic of transformers' `_relative_position_bucket`.
    fn of(self, distance: isize) -> usize {
        let (count, first) = match self.both_sides {
            true => (self.count / 2, if distance > 0 { self.count / 2 } else { 0 }),
            false => (self.count, 0),
        };
        let distance = match self.both_sides || distance <= 0 {
            true => distance.unsigned_abs(),
            false => 0,
        };
        // Distances below this have a bucket each.
        let exact = count / 2;
        if distance < exact {
            return first + distance;
        }
        let octaves = (self.max_distance as f64 / exact as f64).ln() as f32;
        let share = (distance as f32 / exact as f32).ln() / octaves * (count - exact) as f32;
        first + (exact + share as usize).min(count - 1)
    }
}

/// The biases of all heads for every distance that can occur.
#[derive(Debug, Clone)]
pub struct RelativeBias {
    /// `[heads, distances]`, from the key farthest before the query on.
    table: Vec<f32>,
    distances: usize,
    /// The column of distance 0.
    zero: usize,
}

impl RelativeBias {
    /// From learned biases `[buckets, heads]`, for sequences of up to `positions`.
    pub fn new(learned: &Tensor, buckets: Buckets, positions: usize) -> Result<Self> {
        let heads = learned.dim(1)?;
        let zero = positions.saturating_sub(1);
        let distances = if buckets.both_sides { 2 * zero + 1 } else { zero + 1 };
        let places: Vec<usize> =
            (0..distances).map(|column| buckets.of(column as isize - zero as isize)).collect();
        let table = super::with_values(learned, |learned| {
            let row = |head| places.iter().map(move |bucket| learned[bucket * heads + head]);
            (0..heads).flat_map(row).collect()
        })?;
        Ok(RelativeBias { table, distances, zero })
    }

    /// The biases, in one head, of keys 0, 1, … for the query at position `at`.
    #[inline(always)]
    pub fn keys(&self, head: usize, at: usize) -> &[f32] {
        &self.table[head * self.distances..(head + 1) * self.distances][self.zero - at..]
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use candle_core::Device;

    /// Buckets of one shape as transformers has them; made by scripts/reference/t5.py.
    #[derive(serde::Deserialize)]
    struct Golden {
        buckets: usize,
        max_distance: usize,
        both: bool,
        /// First distance of each run of equal buckets, and the bucket.
        runs: Vec<(isize, usize)>,
    }

    #[test]
    fn t5_buckets_equal_transformers() {
        let text = std::fs::read_to_string("tests/golden/t5/buckets.json").unwrap();
        let shapes: Vec<Golden> = serde_json::from_str(&text).unwrap();
        assert_eq!(shapes.len(), 14);
        for shape in shapes {
            let buckets = Buckets {
                count: shape.buckets,
                max_distance: shape.max_distance,
                both_sides: shape.both,
            };
            let mut before = None;
            let mut runs = Vec::new();
            for distance in -5000..=(if shape.both { 5000 } else { 0 }) {
                let bucket = buckets.of(distance);
                if before.replace(bucket) != Some(bucket) {
                    runs.push((distance, bucket));
                }
            }
            assert_eq!(runs, shape.runs, "{buckets:?}");
        }
    }

    #[test]
    fn t5_biases_are_found_by_distance() {
        // Eight buckets of two heads; the bias names head and bucket.
        let learned: Vec<f32> = (0..16).map(|i| (i / 2 + 100 * (i % 2)) as f32).collect();
        let learned = Tensor::from_vec(learned, (8, 2), &Device::Cpu).unwrap();
        for both_sides in [true, false] {
            let buckets = Buckets { count: 8, max_distance: 12, both_sides };
            let bias = RelativeBias::new(&learned, buckets, 30).unwrap();
            for (head, at) in [(0, 0), (1, 0), (0, 7), (1, 29)] {
                let keys = bias.keys(head, at);
                let known = if both_sides { 30 } else { at + 1 };
                assert!(keys.len() >= known);
                for (key, &found) in keys[..known].iter().enumerate() {
                    let bucket = buckets.of(key as isize - at as isize);
                    assert_eq!(found, (bucket + 100 * head) as f32);
                }
            }
        }
    }
}
