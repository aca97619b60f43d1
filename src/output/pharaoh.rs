//! Word links as Pharaoh and its heirs write them: `0-0 1-2`, source before target.

use std::io::{self, Write};

use super::{Piece, Writer};
use crate::translate::Target;

pub(super) struct Pharaoh;

impl Writer for Pharaoh {
    fn piece(&mut self, out: &mut dyn Write, piece: Piece<'_>) -> io::Result<()> {
        let Piece::Translated(translation, _) = piece else { return Ok(()) };
        writeln!(out, "{}", translation.targets.first().map(pairs).unwrap_or_default())
    }
}

/// The links of a translation, in order of the source.
pub(super) fn pairs(target: &Target) -> String {
    let mut pairs: Vec<_> = target.links.iter().map(|l| (l.source, l.target)).collect();
    pairs.sort_unstable();
    let pairs: Vec<String> = pairs.iter().map(|(s, t)| format!("{s}-{t}")).collect();
    pairs.join(" ")
}
