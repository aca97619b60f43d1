//! A rewritten text that remembers which bytes of the original every byte came from.

use super::Span;

/// A text made from another by replacing, dropping or inserting pieces, with the way back.
///
/// Invariants (tested): the origins of successive bytes never run backwards, and every origin
/// lies on character boundaries of the original.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mapped {
    text: String,
    /// For every byte of `text`, the bytes of the original that it stands for.
    origins: Vec<Span>,
}

impl Mapped {
    /// The text itself, unchanged.
    pub fn identity(text: &str) -> Self {
        let mut mapped = Mapped::with_capacity(text.len());
        for (at, c) in text.char_indices() {
            mapped.push_char(c, Span::new(at, at + c.len_utf8()));
        }
        mapped
    }

    /// An empty text with room for `bytes` bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Mapped { text: String::with_capacity(bytes), origins: Vec::with_capacity(bytes) }
    }

    /// Appends `piece`, which stands for `origin` of the original as a whole.
    pub fn push(&mut self, piece: &str, origin: Span) {
        self.text.push_str(piece);
        self.origins.resize(self.text.len(), origin);
    }

    /// Appends one character, which stands for `origin` of the original.
    pub fn push_char(&mut self, c: char, origin: Span) {
        self.text.push(c);
        self.origins.resize(self.text.len(), origin);
    }

    /// The rewritten text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The span of the original behind `span` of the rewritten text. An empty span maps to the
    /// empty span at the place where it stands.
    pub fn original(&self, span: Span) -> Span {
        let origins = &self.origins[span.start..span.end];
        match (origins.first(), origins.last()) {
            (Some(first), Some(last)) => first.cover(*last),
            _ => {
                let at = match self.origins.get(span.start) {
                    Some(next) => next.start,
                    None => self.origins.last().map_or(0, |last| last.end),
                };
                Span::new(at, at)
            }
        }
    }

    /// This map followed back through `earlier`, whose rewritten text is this one's original.
    pub fn after(mut self, earlier: &Mapped) -> Self {
        for origin in &mut self.origins {
            *origin = earlier.original(*origin);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_lead_back_through_two_rewritings() {
        // "aXbc" --(drop X)--> "abc" --(b -> "BB")--> "aBBc"
        let mut first = Mapped::default();
        first.push("a", Span::new(0, 1));
        first.push("bc", Span::new(2, 4));
        let mut second = Mapped::default();
        second.push("a", Span::new(0, 1));
        second.push("BB", Span::new(1, 2));
        second.push("c", Span::new(2, 3));
        let both = second.after(&first);
        assert_eq!(both.text(), "aBBc");
        assert_eq!(both.original(Span::new(0, 1)), Span::new(0, 1));
        assert_eq!(both.original(Span::new(1, 1)), Span::new(2, 2));
        assert_eq!(both.original(Span::new(4, 4)), Span::new(4, 4));
    }
}
