//! A compact trie over the bytes of the pieces.

/// A set of byte strings, each with an id, searched byte by byte.
///
/// Nodes are numbered breadth first, so the children of a node are consecutive, sorted by label,
/// and end where the children of the next node begin.
#[derive(Debug)]
pub(super) struct Trie {
    /// Label of the edge into every node (the root's is unused).
    labels: Vec<u8>,
    /// First child of every node, and one more entry to close the last.
    children: Vec<u32>,
    /// Id of the string that ends at the node, or [`NONE`].
    ids: Vec<u32>,
}

const NONE: u32 = u32::MAX;

impl Trie {
    /// The trie of these strings. Of equal strings the one with the smallest id counts.
    pub fn new<'a>(strings: impl Iterator<Item = (&'a str, u32)>) -> Self {
        let mut strings: Vec<(&[u8], u32)> = strings.map(|(s, id)| (s.as_bytes(), id)).collect();
        strings.sort_unstable();
        strings.dedup_by_key(|(s, _)| *s);

        let mut trie = Trie { labels: vec![0], children: Vec::new(), ids: Vec::new() };
        // For every node, the range of strings that begin with its path, and the path's length.
        let mut ranges = vec![(0, strings.len(), 0)];
        let mut node = 0;
        while let Some(&(mut low, high, depth)) = ranges.get(node) {
            trie.children.push(trie.labels.len() as u32);
            let ends_here = low < high && strings[low].0.len() == depth;
            trie.ids.push(if ends_here { strings[low].1 } else { NONE });
            low += usize::from(ends_here);
            while low < high {
                let label = strings[low].0[depth];
                let same = strings[low..high].partition_point(|(s, _)| s[depth] == label);
                trie.labels.push(label);
                ranges.push((low, low + same, depth + 1));
                low += same;
            }
            node += 1;
        }
        trie.children.push(trie.labels.len() as u32);
        trie
    }

    fn child(&self, node: usize, label: u8) -> Option<usize> {
        let (first, end) = (self.children[node] as usize, self.children[node + 1] as usize);
        let siblings = &self.labels[first..end];
        // Most nodes have one child or two; only those near the root have many.
        let at = match siblings.len() {
            0..=8 => siblings.iter().position(|&l| l == label)?,
            _ => siblings.binary_search(&label).ok()?,
        };
        Some(first + at)
    }

    /// The strings that `text` begins with, shortest first: length in bytes and id.
    pub fn prefixes<'a>(&'a self, text: &'a str) -> impl Iterator<Item = (usize, u32)> + 'a {
        let mut node = Some(0);
        let walk = text.bytes().enumerate().map_while(move |(at, byte)| {
            node = self.child(node?, byte);
            node.map(|node| (at + 1, self.ids[node]))
        });
        walk.filter(|&(_, id)| id != NONE)
    }

    /// The id of exactly this string.
    pub fn get(&self, text: &str) -> Option<u32> {
        let node = text.bytes().try_fold(0, |node, byte| self.child(node, byte))?;
        Some(self.ids[node]).filter(|&id| id != NONE)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn agrees_with_a_map(
            strings in prop::collection::btree_map("[abأب]{1,4}", 0u32..99, 0..40),
            text in "[abأب]{0,8}",
        ) {
            let trie = Trie::new(strings.iter().map(|(s, id)| (s.as_str(), *id)));
            prop_assert_eq!(trie.get(&text), strings.get(&text).copied());
            let found: Vec<_> = trie.prefixes(&text).collect();
            let expected: BTreeMap<usize, u32> =
                strings.iter().filter(|(s, _)| text.starts_with(*s)).map(|(s, id)| (s.len(), *id)).collect();
            prop_assert_eq!(found, expected.into_iter().collect::<Vec<_>>());
        }
    }
}
