//! Light stemming: of Arabic after light10 (Larkey, Ballesteros and Connell 2007, "Light stemming
//! for Arabic information retrieval"), a few prefixes and suffixes off, no roots; of English a few
//! endings off.

use std::borrow::Cow;

/// Words too common to say what a text is about. As [`normalized`] leaves them.
const STOP: &[&str] = &[
    "في",
    "من",
    "علي",
    "الي",
    "ان",
    "عن",
    "مع",
    "هذا",
    "هذه",
    "ذلك",
    "تلك",
    "التي",
    "الذي",
    "الذين",
    "ما",
    "لا",
    "لم",
    "لن",
    "قد",
    "كان",
    "كانت",
    "كل",
    "بعد",
    "قبل",
    "بين",
    "او",
    "ثم",
    "حتي",
    "اذا",
    "لكن",
    "هو",
    "هي",
    "هم",
    "انه",
    "انها",
    "به",
    "بها",
    "فيه",
    "فيها",
    "منه",
    "منها",
    "له",
    "لها",
    "عليه",
    "عليها",
    "كما",
    "غير",
    "اي",
    "يكون",
    "تكون",
    "خلال",
    "عند",
    "منذ",
    "حيث",
    "اما",
    "بل",
    "نحن",
    "انا",
    "قال",
    "قالت",
    "اضاف",
    "اضافت",
    "يوم",
    "امس",
    "اليوم",
];
/// The same in English.
const ENGLISH_STOP: &[&str] = &[
    "a", "an", "the", "of", "in", "on", "at", "to", "from", "by", "for", "with", "about", "into",
    "over", "after", "before", "and", "or", "but", "nor", "so", "as", "than", "that", "which",
    "who", "whom", "whose", "this", "these", "those", "it", "its", "he", "him", "his", "she",
    "her", "they", "them", "their", "we", "our", "you", "your", "i", "is", "are", "was", "were",
    "be", "been", "being", "has", "have", "had", "do", "does", "did", "will", "would", "can",
    "could", "may", "might", "should", "must", "not", "no", "also", "there", "said", "says", "s",
    "t",
];
const PREFIXES: [&str; 7] = ["وال", "بال", "كال", "فال", "لل", "ال", "و"];
const SUFFIXES: [&str; 10] = ["ها", "ان", "ات", "ون", "ين", "يه", "ية", "ه", "ة", "ي"];

/// What words of one meaning have in common; none for a word that says nothing by itself.
pub fn stem(word: &str) -> Option<String> {
    let word = normalized(word);
    let bare = word.strip_prefix('و').unwrap_or(&word);
    if word.is_empty() || STOP.contains(&word.as_str()) || STOP.contains(&bare) {
        return None;
    }
    if word.is_ascii() {
        return english(&word);
    }
    if !word.chars().all(|c| ('\u{621}'..='\u{64a}').contains(&c)) {
        return Some(word);
    }
    let long = |rest: &str, least: usize| rest.chars().count() >= least;
    let mut stem = word.as_str();
    for prefix in PREFIXES {
        // A lone و is often part of the word.
        let least = if prefix == "و" { 3 } else { 2 };
        if let Some(rest) = stem.strip_prefix(prefix).filter(|rest| long(rest, least)) {
            stem = rest;
            break;
        }
    }
    for suffix in SUFFIXES {
        stem = stem.strip_suffix(suffix).filter(|rest| long(rest, 2)).unwrap_or(stem);
    }
    (stem.chars().count() > 1).then(|| stem.to_owned())
}

/// The stem of an English word in lower case.
fn english(word: &str) -> Option<String> {
    /// Letters that must be left.
    const LEAST: usize = 3;
    if ENGLISH_STOP.contains(&word) {
        return None;
    }
    let ends = ["ies", "ing", "es", "ed", "s", "e", "y"];
    let cut = ends.iter().find_map(|end| word.strip_suffix(end).filter(|rest| rest.len() >= LEAST));
    Some(cut.unwrap_or(word).to_owned())
}

/// Letters that are often written one for the other made one; marks dropped; Latin in lower case.
pub fn normalized(word: &str) -> String {
    let fold = |c: char| match c {
        'أ' | 'إ' | 'آ' | 'ٱ' => Some('ا'),
        'ى' => Some('ي'),
        '٠'..='٩' => char::from_digit(c as u32 - '٠' as u32, 10),
        c => c.is_alphanumeric().then_some(c),
    };
    let kept: Cow<str> = match word.is_ascii() {
        true => word.to_ascii_lowercase().into(),
        false => word.into(),
    };
    kept.chars().filter_map(fold).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_a_word_share_a_stem() {
        for words in [
            ["المكتبة", "مكتبة", "والمكتبات"],
            ["الأطفال", "أطفال", "بالأطفال"],
            ["المدينة", "ومدينة", "للمدينة"],
        ] {
            let stems = words.map(stem);
            assert!(stems[0].is_some());
            assert!(stems.iter().all(|stem| *stem == stems[0]), "{words:?} {stems:?}");
        }
        assert_eq!(stem("وقال"), None);
        assert_eq!(stem("إلى"), None);
        assert_eq!(stem("،"), None);
        assert_eq!(stem("١٢٠").as_deref(), Some("120"));
        assert_eq!(stem("GPS").as_deref(), Some("gps"));
        for words in [["cities", "city"], ["arrived", "arrives"], ["schools", "School"]] {
            assert_eq!(stem(words[0]), stem(words[1]), "{words:?}");
        }
        assert_eq!(stem("The"), None);
    }
}
