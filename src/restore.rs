//! Puts numbers and Latin words back that the model wrote down wrong: `2،350` is 2,350 in English
//! too, whatever a small model makes of it. Only a word that stands for the lost one, by its
//! links, is replaced, and every replacement is reported.

use std::ops::Range;

use crate::align::Link;
use crate::text::{Span, is_latin, is_number, literal, lost, unknown_numbers};

/// Bytes of `target` to be replaced, each with its new text, in order and apart. `links` are those
/// of `target_words` to `source_words`.
pub fn replacements(
    source: &str,
    source_words: &[Span],
    target: &str,
    target_words: &[Span],
    links: &[Link],
) -> Vec<(Span, String)> {
    let lost = lost(source, source_words, target);
    if lost.is_empty() {
        return Vec::new();
    }
    let mut unknown = unknown_numbers(source, target, target_words);
    let numbers = lost.iter().filter(|word| is_number(word.of(source))).count();
    let only = (numbers == 1 && unknown.len() == 1).then(|| unknown[0]);
    let mut found: Vec<(Span, String)> = Vec::new();
    // Source words before it are dealt with.
    let mut done = 0;
    for (s, word) in source_words.iter().enumerate().filter(|(_, word)| lost.contains(word)) {
        if s < done {
            continue;
        }
        let linked = links.iter().filter(|link| link.source == s);
        let mut written = literal(word.of(source));
        let place = if is_number(word.of(source)) {
            let mut linked: Vec<&Link> =
                linked.filter(|link| unknown.contains(&target_words[link.target])).collect();
            linked.sort_by(|a, b| b.score.total_cmp(&a.score));
            let word = linked.first().map(|link| target_words[link.target]).or(only);
            unknown.retain(|other| Some(*other) != word);
            // What surrounds the digits stays: `1970s`, `$20`.
            word.and_then(|word| {
                let digits = |c: char| c.is_ascii_digit();
                let text = word.of(target);
                let (first, last) = (text.find(digits)?, text.rfind(digits)?);
                Some(Span::new(word.start + first, word.start + last + 1))
            })
        } else {
            // A name of several words is put back whole, unless a part of it stands elsewhere.
            let run = name_around(s, source, source_words);
            let parts = run.clone().filter(|part| !lost.contains(&source_words[*part]));
            let parts: Vec<String> = parts.map(|p| literal(source_words[p].of(source))).collect();
            let whole = place_of(run.clone(), s, links, target, target_words).filter(|place| {
                let elsewhere = [&target[..place.start], &target[place.end..]];
                !parts.iter().any(|part| elsewhere.iter().any(|text| text.contains(part)))
            });
            match whole {
                Some(place) => {
                    done = run.end;
                    let name = source_words[run.start].cover(source_words[run.end - 1]);
                    written = literal(name.of(source));
                    Some(place)
                }
                None => place_of(s..s + 1, s, links, target, target_words),
            }
        };
        if let Some(place) = place
            && found.iter().all(|(other, _)| other.overlap(place) == 0)
        {
            found.push((place, written));
        }
    }
    found.sort_by_key(|(place, _)| *place);
    found
}

/// Source word `s` and the Latin words around it with only spaces between.
fn name_around(s: usize, source: &str, words: &[Span]) -> Range<usize> {
    let joined = |i: usize| {
        let between = &source[words[i].end..words[i + 1].start];
        between.trim().is_empty()
            && is_latin(words[i].of(source))
            && is_latin(words[i + 1].of(source))
    };
    let first = (0..s).rev().take_while(|&i| joined(i)).last().unwrap_or(s);
    let last = (s..words.len() - 1).take_while(|&i| joined(i)).last().map_or(s, |i| i + 1);
    first..last + 1
}

/// Whether a word is of capitals alone: a name rather than a translation.
fn is_acronym(word: &str) -> bool {
    word.chars().count() > 1 && word.chars().all(|c| c.is_ascii_uppercase())
}

/// The neighbouring words with letters that stand for source words of `run` and, unless they are
/// acronyms, for no others, among them the one that stands most for `s`.
fn place_of(
    run: Range<usize>,
    s: usize,
    links: &[Link],
    target: &str,
    words: &[Span],
) -> Option<Span> {
    let own = |t: usize| {
        let word = words[t].of(target);
        let mut linked = links.iter().filter(|link| link.target == t).peekable();
        let inside = |link: &Link| run.contains(&link.source);
        if is_acronym(word) {
            return linked.any(inside);
        }
        linked.peek().is_some() && linked.all(inside) && word.contains(char::is_alphabetic)
    };
    let best = links.iter().filter(|link| link.source == s && own(link.target));
    let best = best.max_by(|a, b| a.score.total_cmp(&b.score))?.target;
    let first = (0..best).rev().take_while(|&t| own(t)).last().unwrap_or(best);
    let last = (best..words.len()).take_while(|&t| own(t)).last().unwrap_or(best);
    Some(words[first].cover(words[last]))
}

/// The text after the replacements, where `spans` of it are then, and where the new texts are.
/// A span that reaches into a replaced stretch covers its new text.
pub fn replace(
    text: &str,
    spans: &[Span],
    replacements: &[(Span, String)],
) -> (String, Vec<Span>, Vec<Span>) {
    let mut out = String::new();
    let mut new = Vec::new();
    let mut at = 0;
    for (place, written) in replacements {
        out.push_str(&text[at..place.start]);
        new.push(Span::new(out.len(), out.len() + written.len()));
        out.push_str(written);
        at = place.end;
    }
    out.push_str(&text[at..]);
    // Where a byte of the old text is now; `end` says on which side of a replaced stretch.
    let moved = |byte: usize, end: bool| {
        let before = replacements.partition_point(|(place, _)| place.end <= byte);
        if let Some((place, _)) = replacements.get(before)
            && place.start < byte + usize::from(!end)
        {
            return if end { new[before].end } else { new[before].start };
        }
        match before.checked_sub(1) {
            Some(last) => new[last].end + (byte - replacements[last].0.end),
            None => byte,
        }
    };
    let spans = spans
        .iter()
        .map(|span| {
            let start = moved(span.start, false);
            Span::new(start, moved(span.end, true).max(start))
        })
        .collect();
    (out, spans, new)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::text::words;
    use proptest::prelude::*;

    fn restored(source: &str, target: &str, links: &[(usize, usize)]) -> String {
        let links: Vec<Link> =
            links.iter().map(|&(source, target)| Link { source, target, score: 0.5 }).collect();
        let found = replacements(source, &words(source), target, &words(target), &links);
        replace(target, &[], &found).0
    }

    #[test]
    fn what_stands_for_a_lost_word_becomes_it() {
        for (source, target, links, expected) in [
            ("عام ١٩٥٠ وحده", "In 1970s, alone", &[(1, 1)][..], "In 1950s, alone"),
            ("باع ٢٬٣٥٠ كتابا", "He sold 23,500 books", &[], "He sold 2,350 books"),
            ("شركة Nadim هنا", "The Nad Dim company", &[(1, 1), (1, 2)], "The Nadim company"),
            // A name of several words, parts of which are there.
            (
                "شركة Nadim Tours هنا",
                "The Nadim Tooors company",
                &[(1, 1), (2, 2)],
                "The Nadim Tours company",
            ),
            ("شركة Nadim Tours هنا", "The Nad company", &[(2, 1)], "The Nadim Tours company"),
            (
                "شركة Nadim Tours هنا",
                "The Tours of Nad company",
                &[(2, 1), (1, 3)],
                "The Tours of Nadim company",
            ),
            (
                "شركة Nadim Tours هنا",
                "The Nad and Toors",
                &[(1, 1), (2, 3)],
                "The Nadim Tours and Toors",
            ),
            // An acronym may stand for its neighbours as well.
            ("خطوط PNG هنا", "The BGNG lines", &[(0, 1), (1, 1)], "The PNG lines"),
            // Nothing stands for the lost word, or what does stands for another too.
            ("شركة Nadim هنا", "The company", &[], "The company"),
            ("شركة Nadim هنا", "The company", &[(0, 1), (1, 1)], "The company"),
            // Two of each, and nothing says which is which.
            ("٥٥ و ٦٦", "51 and 61", &[], "51 and 61"),
            ("٥٥ و ٦٦", "51 and 61", &[(0, 2), (2, 0)], "66 and 55"),
        ] {
            assert_eq!(restored(source, target, links), expected, "{source}");
        }
    }

    proptest! {
        #[test]
        fn spans_follow_their_text(
            pieces in prop::collection::vec(("[a-cé]{0,3}", prop::option::of("[0-9]{0,3}")), 0..8),
        ) {
            let mut text = String::new();
            let mut spans = Vec::new();
            let mut replacements = Vec::new();
            for (piece, new) in &pieces {
                let span = Span::new(text.len(), text.len() + piece.len());
                text.push_str(piece);
                spans.push(span);
                if let Some(new) = new && !span.is_empty() {
                    replacements.push((span, new.clone()));
                }
            }
            let (out, moved, new) = replace(&text, &spans, &replacements);
            let mut new = new.iter();
            for (span, (piece, instead)) in moved.iter().zip(&pieces) {
                match instead {
                    _ if piece.is_empty() => prop_assert!(span.start <= span.end),
                    Some(instead) => {
                        prop_assert_eq!(span.of(&out), instead);
                        prop_assert_eq!(new.next().unwrap().of(&out), instead);
                    }
                    None => prop_assert_eq!(span.of(&out), piece),
                }
            }
        }
    }
}
