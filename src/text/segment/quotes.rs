//! Quotations and parentheses, which are kept whole.

use std::collections::VecDeque;

use crate::text::Span;

/// Characters a quotation may have. A longer one is taken for two stray marks.
pub(super) const LONGEST: usize = 300;

/// The quotations of a text.
#[derive(Debug, Default)]
pub(super) struct Quotes {
    /// From opening to closing mark, both included; in order, those that overlap made one.
    pub(super) spans: Vec<Span>,
    /// Bytes at which marks stand that open and are never closed, in order.
    pub(super) unclosed: Vec<usize>,
}

impl Quotes {
    /// The quotation that the byte at `at` lies in.
    pub(super) fn around(&self, at: usize) -> Option<Span> {
        let next = self.spans.partition_point(|span| span.end <= at);
        self.spans.get(next).copied().filter(|span| span.start <= at)
    }
}

#[derive(PartialEq)]
enum Role {
    Open,
    Close,
    /// Opens if nothing is open, else closes.
    Either,
}

const FAMILIES: usize = 6;

/// Which kind of quotation mark `c` is and what it does between its neighbours. Curly quotes are
/// typed in either order in Arabic, so that only the neighbours tell.
fn role(previous: Option<char>, c: char, next: Option<char>) -> Option<(usize, Role)> {
    Some(match c {
        '«' => (0, Role::Open),
        '»' => (0, Role::Close),
        '(' => (1, Role::Open),
        ')' => (1, Role::Close),
        '[' => (2, Role::Open),
        ']' => (2, Role::Close),
        '\u{FD3F}' => (3, Role::Open),
        '\u{FD3E}' => (3, Role::Close),
        '‹' => (4, Role::Open),
        '›' => (4, Role::Close),
        '"' | '“' | '”' | '„' | '‟' => {
            let space_before =
                previous.is_none_or(|p| p.is_whitespace() || matches!(p, '(' | '[' | '«'));
            let space_after = next.is_none_or(|n| {
                n.is_whitespace()
                    || matches!(n, '.' | '،' | ',' | '؛' | ':' | '؟' | '?' | '!' | ')' | ']' | '»')
            });
            let role = match (space_before, space_after) {
                (true, false) => Role::Open,
                (false, true) => Role::Close,
                _ => Role::Either,
            };
            (5, role)
        }
        _ => return None,
    })
}

/// Finds the quotations of `text` that close within [`LONGEST`] characters.
pub(super) fn quotes(text: &str) -> Quotes {
    // What is open, one stack a family: (character number, byte).
    let mut open: [VecDeque<(usize, usize)>; FAMILIES] = Default::default();
    let mut found = Quotes::default();
    let mut chars = text.char_indices().enumerate().peekable();
    let mut previous = None;
    while let Some((number, (at, c))) = chars.next() {
        let next = chars.peek().map(|&(_, (_, next))| next);
        if let Some((family, mut role)) = role(previous, c, next) {
            let stack = &mut open[family];
            while stack.front().is_some_and(|&(opened, _)| number - opened > LONGEST) {
                found.unclosed.extend(stack.pop_front().map(|(_, at)| at));
            }
            if role == Role::Either {
                role = if stack.is_empty() { Role::Open } else { Role::Close };
            }
            if role == Role::Open {
                stack.push_back((number, at));
            } else if let Some((_, start)) = stack.pop_back() {
                found.spans.push(Span::new(start, at + c.len_utf8()));
            }
        }
        previous = Some(c);
    }
    found.unclosed.extend(open.iter().flatten().map(|&(_, at)| at));
    found.unclosed.sort_unstable();
    found.spans.sort_unstable();
    found.spans.dedup_by(|next, kept| {
        let shared = next.start < kept.end;
        if shared {
            *kept = kept.cover(*next);
        }
        shared
    });
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs() {
        let long = format!("«{}»", "ا".repeat(LONGEST));
        let table: [(&str, &[&str]); 10] = [
            ("قال «نعم» و(لا)", &["«نعم»", "(لا)"]),
            ("قال \"نعم\" و“لا” و”لا“", &["\"نعم\"", "“لا”", "”لا“"]),
            ("و\"نعم\".", &["\"نعم\""]),
            ("«أ «ب» ج»", &["«أ «ب» ج»"]),
            ("«أ (ب» ج)", &["«أ (ب» ج)"]),
            ("« مفتوح", &[]),
            ("1) أولا» 2)", &[]),
            ("» معكوس «", &[]),
            ("شاشة 5\" جديدة", &[]),
            (&long, &[]),
        ];
        for (text, wanted) in table {
            let found: Vec<_> = quotes(text).spans.iter().map(|span| span.of(text)).collect();
            assert_eq!(found, wanted, "{text}");
        }
    }

    #[test]
    fn unclosed_marks_are_told() {
        assert_eq!(quotes("a (b «c» (d)").unclosed, [2]);
    }
}
