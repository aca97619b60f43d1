//! The precompiled character map of a SentencePiece model: rewriting rules in a darts-clone double
//! array.
//!
//! Layout: `u32` little-endian byte length of the double array, the double array (`u32` units), then
//! the replacements, each ended by a zero byte. The value of a key is the byte offset of its
//! replacement.

/// No rule of a sound map comes near this many bytes (Unicode's longest has 33); it bounds how much
/// a hostile map can inflate a text.
const MAX_REPLACEMENT: usize = 1024;

/// Rewriting rules, looked up by the longest key that a text begins with.
#[derive(Debug, Default)]
pub(super) struct Charsmap {
    units: Vec<u32>,
    replacements: String,
}

impl Charsmap {
    /// Reads the `precompiled_charsmap` field; an empty one has no rules.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        if bytes.is_empty() {
            return Ok(Charsmap::default());
        }
        let (size, rest) = bytes.split_first_chunk().ok_or("the character map is cut short")?;
        let size = u32::from_le_bytes(*size) as usize;
        if !size.is_multiple_of(4) || size > rest.len() {
            return Err(format!("the character map claims a trie of {size} bytes"));
        }
        let (units, replacements) = rest.split_at(size);
        let replacements = std::str::from_utf8(replacements)
            .map_err(|e| format!("a replacement of the character map is not UTF-8: {e}"))?;
        if replacements.split('\0').any(|r| r.len() > MAX_REPLACEMENT) {
            return Err("the character map holds an overlong replacement".into());
        }
        let units = units.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        Ok(Charsmap { units: units.collect(), replacements: replacements.into() })
    }

    /// Whether no lookup, of any text, leads outside of the map: what [`Charsmap::longest`] checks
    /// as it goes, for readers that do not.
    pub fn is_closed(&self) -> bool {
        let inside = |(node, &unit): (usize, &u32)| {
            if unit >> 31 == 1 && node != 0 {
                return true; // a value, which no byte leads to
            }
            let children = node ^ offset(unit);
            if (children | 0xff) >= self.units.len() {
                return false;
            }
            let value = (self.units[children] & 0x7fff_ffff) as usize;
            !has_leaf(unit) || self.replacements.is_char_boundary(value)
        };
        !self.units.is_empty() && self.units.iter().enumerate().all(inside)
    }

    /// The rule with the longest key that `text` begins with: the key's length and its replacement.
    pub fn longest(&self, text: &str) -> Option<(usize, &str)> {
        let mut longest = None;
        let mut unit = *self.units.first()?;
        let mut node = offset(unit);
        for (at, byte) in text.bytes().enumerate() {
            node ^= usize::from(byte);
            unit = match self.units.get(node) {
                Some(&unit) if label(unit) == u32::from(byte) => unit,
                _ => break,
            };
            node ^= offset(unit);
            if has_leaf(unit) {
                let value = self.units.get(node).map_or(u32::MAX, |leaf| leaf & 0x7fff_ffff);
                // A key of a damaged map may end inside a character: not a match.
                if text.is_char_boundary(at + 1) {
                    longest = Some((at + 1, value)).or(longest);
                }
            }
        }
        let (length, value) = longest?;
        let replacement = self.replacements.get(value as usize..)?;
        Some((length, replacement.split('\0').next().unwrap_or_default()))
    }
}

fn has_leaf(unit: u32) -> bool {
    unit >> 8 & 1 == 1
}

/// The byte that leads into the node; the top bit marks a value, which no byte leads to.
fn label(unit: u32) -> u32 {
    unit & (1 << 31 | 0xff)
}

fn offset(unit: u32) -> usize {
    ((unit >> 10) << ((unit & 1 << 9) >> 6)) as usize
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::proto::ModelProto;
    use super::*;
    use proptest::prelude::*;

    /// A map by hand: "a" -> "x", everything else untouched.
    fn one_rule() -> Vec<u8> {
        let mut units = vec![0u32; 256];
        units[0] = 1 << 10; // the root's children start at 1 ^ label
        units[1 ^ 0x61] = 0x61 | 1 << 8 | (2 << 10); // "a" has a value, at node ^ 2
        units[1 ^ 0x61 ^ 2] = 1 << 31; // value 0
        let mut bytes = (units.len() as u32 * 4).to_le_bytes().to_vec();
        bytes.extend(units.iter().flat_map(|u| u.to_le_bytes()));
        bytes.extend(b"x\0");
        bytes
    }

    #[test]
    fn finds_a_rule() {
        let map = Charsmap::parse(&one_rule()).unwrap();
        assert_eq!(map.longest("abc"), Some((1, "x")));
        assert_eq!(map.longest("ba"), None);
        assert_eq!(map.longest(""), None);
    }

    #[test]
    fn knows_whether_a_map_leads_outside() {
        let whole = one_rule();
        assert!(Charsmap::parse(&whole).unwrap().is_closed());
        assert!(!Charsmap::default().is_closed());
        let change = |unit: usize, value: u32| {
            let mut bytes = whole.clone();
            bytes[4 + 4 * unit..][..4].copy_from_slice(&value.to_le_bytes());
            Charsmap::parse(&bytes).unwrap().is_closed()
        };
        assert!(!change(0, 256 << 10), "children beyond the end");
        assert!(!change(0, 1 << 31 | 256 << 10), "a root that looks like a value");
        assert!(!change(1 ^ 0x61 ^ 2, 1 << 31 | 3), "a replacement beyond the end");
    }

    /// nmt_nfkc, as most models have it.
    #[test]
    fn a_real_map_is_closed() {
        let model = std::fs::read("tests/golden/tokenizer/bytes.spm").unwrap();
        let model = <ModelProto as prost::Message>::decode(&model[..]).unwrap();
        let map = Charsmap::parse(model.normalizer_spec.unwrap().precompiled_charsmap()).unwrap();
        assert!(map.units.len() > 10_000 && map.is_closed());
    }

    #[test]
    fn refuses_a_lying_size() {
        let mut bytes = one_rule();
        bytes[..4].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(Charsmap::parse(&bytes).is_err());
        assert!(Charsmap::parse(&one_rule()[..3]).is_err());
        assert!(Charsmap::parse(&[8, 0, 0, 0, 1, 2, 3]).is_err());
        let mut long = one_rule();
        long.extend([b'y'; MAX_REPLACEMENT + 1]);
        assert!(Charsmap::parse(&long).is_err());
    }

    proptest! {
        #[test]
        fn any_units_any_text(units in prop::collection::vec(any::<u32>(), 0..64), text in ".{0,8}") {
            let mut bytes = (units.len() as u32 * 4).to_le_bytes().to_vec();
            bytes.extend(units.iter().flat_map(|u| u.to_le_bytes()));
            bytes.extend("ab\0ج\0".as_bytes());
            if let Some((length, replacement)) = Charsmap::parse(&bytes).unwrap().longest(&text) {
                prop_assert!(text.is_char_boundary(length) && length > 0);
                prop_assert!(!replacement.contains('\0'));
            }
        }

        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = Charsmap::parse(&bytes).map(|map| map.longest("abc").is_some());
        }
    }
}
