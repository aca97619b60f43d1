#![allow(clippy::unwrap_used)]
use super::*;
use crate::summarize::Articles;
use crate::summarize::attribute::tests::translation;

const NEWS: &str = "زيارة الوزير\n\nوصل الوزير إلى القاهرة أمس. وخرج الطالب من المدرسة القديمة. \
                    وصل المدير إلى القاهرة عام 1987.";

fn article(text: &str) -> Article {
    Articles::new(text.as_bytes(), "test", None).next_article().unwrap().unwrap()
}

fn bullets(bullets: usize) -> Options {
    Options { bullets, ..Options::default() }
}

/// Translates word by word what it knows, and gives `others` as alternatives.
fn words(sentences: &[&str], others: &[&str]) -> Result<Vec<Translation>> {
    const WORDS: [(&str, &str); 12] = [
        ("وصل", "arrived"),
        ("وخرج", "left"),
        ("خرج", "left"),
        ("الوزير", "minister"),
        ("المدير", "manager"),
        ("الطالب", "student"),
        ("القاهرة", "Cairo"),
        ("المدرسة", "school"),
        ("القديمة", "old"),
        ("زيارة", "visit"),
        ("عام", "in"),
        ("أمس", "yesterday"),
    ];
    let english = |sentence: &str| {
        let word = |word: &str| {
            let bare = word.trim_end_matches('.');
            WORDS.iter().find(|(arabic, _)| *arabic == bare).map_or(bare, |w| w.1).to_owned()
        };
        sentence.split(' ').map(word).collect::<Vec<_>>().join(" ")
    };
    Ok(sentences
        .iter()
        .map(|sentence| {
            let mut made = translation(sentence, &english(sentence));
            let others = others.iter().flat_map(|other| translation(sentence, other).targets);
            made.targets.extend(others);
            made
        })
        .collect())
}

fn honest(sentences: &[&str], _: usize) -> Result<Vec<Translation>> {
    words(sentences, &[])
}

/// Adds a year to everything; among its alternatives is `other`.
fn inventive<'a>(other: &'a str) -> impl Fn(&[&str], usize) -> Result<Vec<Translation>> + 'a {
    move |sentences, n| {
        let mut made = words(sentences, if n > 1 { std::slice::from_ref(&other) } else { &[] })?;
        for translation in &mut made {
            let invented = format!("{} in 2044", translation.targets[0].text);
            translation.targets[0] =
                self::translation(&translation.source, &invented).targets.remove(0);
        }
        Ok(made)
    }
}

#[test]
fn a_number_from_nowhere_is_replaced_marked_or_left_out() {
    let article = article(NEWS);
    let fine = inventive("the minister came");
    let summary = extract(&article, &bullets(1), false, &fine).unwrap();
    assert_eq!(summary.bullets[0].text, "the minister came");
    assert!(summary.bullets[0].is_supported());

    let never = inventive("the minister came in 2045");
    let summary = extract(&article, &bullets(2), false, &never).unwrap();
    assert!(summary.bullets.iter().all(|bullet| bullet.unknown_words() == ["2044"]));
    assert!(!summary.bullets.iter().any(Bullet::is_supported));
    let strict = extract(&article, &bullets(2), true, &never).unwrap();
    assert_eq!((strict.bullets.len(), strict.dropped), (0, 2));
    assert!(strict.sources.is_empty());
}

#[test]
fn clauses_of_a_sentence_are_one_bullet() {
    let text = "وتراجعت الأسهم بعد القرار بنسبة كبيرة أمس، فيما ارتفعت العملة المحلية قليلا أمام الدولار واليورو.";
    let article = article(text);
    let summary = extract(&article, &bullets(5), false, &honest).unwrap();
    assert_eq!(summary.bullets.len(), 1);
    let one = extract(&article, &bullets(1), false, &honest).unwrap();
    let parts = &one.bullets[0].citations[0].parts;
    assert!(parts.iter().map(|part| part.len()).sum::<usize>() < text.len() * 2 / 3, "{parts:?}");
    assert_eq!(one.sources[&0].source, text);
}

fn wrote(sentences: &[(&str, &[(usize, f32)])]) -> Vec<Written> {
    let written = |(text, attention): &(&str, &[(usize, f32)])| Written {
        text: (*text).to_owned(),
        attention: attention.to_vec(),
        score: -0.1,
        cut: false,
    };
    sentences.iter().map(written).collect()
}

const EVEN: &[(usize, f32)] = &[(0, 0.1), (1, 0.3), (2, 0.3), (3, 0.3)];

#[test]
fn windows_do_not_say_a_thing_twice_and_bullets_cite() {
    let article = article(NEWS);
    let writes = |_: &[&str]| {
        Ok(wrote(&[
            ("The minister and the manager arrived in Cairo.", EVEN),
            ("Manager and minister arrived in Cairo.", EVEN),
            ("A student left school.", EVEN),
        ]))
    };
    for reads in [Reads::Arabic, Reads::English] {
        let made = generate(&article, &bullets(5), true, &honest, (&writes, reads)).unwrap();
        assert_eq!(made.bullets.len(), 2, "{:?}", made.bullets);
        let cited = |i: usize| -> Vec<usize> {
            made.bullets[i].citations.iter().map(|c| c.sentence).collect()
        };
        assert_eq!((cited(0), cited(1)), (vec![1, 3], vec![2]));
        assert!(made.bullets.iter().all(Bullet::is_supported));
        assert_eq!(made.sources.keys().copied().collect::<Vec<_>>(), [1, 2, 3]);
    }
}

#[test]
fn what_the_article_does_not_say_is_marked_or_left_out() {
    let article = article(NEWS);
    let writes = |_: &[&str]| {
        Ok(wrote(&[
            ("The minister arrived in Cairo.", EVEN),
            ("The student left the old school in 2031 with Obama.", EVEN),
            ("Dolphins sleep under water.", EVEN),
        ]))
    };
    let writer: (&Write, Reads) = (&writes, Reads::Arabic);
    let made = generate(&article, &bullets(5), false, &honest, writer).unwrap();
    let unknown: Vec<Vec<&str>> = made.bullets.iter().map(Bullet::unknown_words).collect();
    assert_eq!(unknown, [vec![], vec!["2031", "Obama"], vec![]]);
    assert!(made.bullets[2].support < LEAST_SUPPORT);
    let strict = generate(&article, &bullets(5), true, &honest, writer).unwrap();
    assert_eq!((strict.bullets.len(), strict.dropped), (1, 2));
}

proptest::proptest! {
    /// What a bullet cites is in its article, whatever the article is like.
    #[test]
    fn citations_are_parts_of_their_sentences(
        text in "((وقال|الوزير|المدير|إن|،|وإن|فيما|ارتفعت|الأسعار|وأضاف|أن|وهو|أمس|؛|12|WHO)[ .\n|]{1,2}){0,60}",
        strict in proptest::bool::ANY,
    ) {
        let Some(article) = Articles::new(text.as_bytes(), "test", None).next_article().unwrap() else {
            return Ok(());
        };
        let writes = |sentences: &[&str]| {
            let even = 1.0 / sentences.len().max(1) as f32;
            let attention: Vec<(usize, f32)> = (0..sentences.len()).map(|i| (i, even)).collect();
            Ok(wrote(&[("The minister came in 12 days.", &attention), ("It rained.", &attention)]))
        };
        let extracted = extract(&article, &bullets(4), strict, &honest).unwrap();
        let generated =
            generate(&article, &bullets(4), strict, &honest, (&writes, Reads::Arabic)).unwrap();
        for summary in [extracted, generated] {
            for citation in summary.bullets.iter().flat_map(|bullet| &bullet.citations) {
                let sentence = &article.sentences[citation.sentence].text;
                let mut at = 0;
                for part in &citation.parts {
                    proptest::prop_assert!(part.start >= at && part.end <= sentence.len());
                    proptest::prop_assert!(sentence.is_char_boundary(part.start));
                    proptest::prop_assert!(sentence.is_char_boundary(part.end));
                    at = part.end;
                }
                proptest::prop_assert_eq!(&summary.sources[&citation.sentence].source, sentence);
            }
        }
    }
}
