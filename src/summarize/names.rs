//! Whether an English name may stand for an Arabic word: by its consonants, or because English calls the
//! place otherwise.

use std::collections::HashSet;

use super::stem::normalized;

/// Places, peoples and languages whose English name sounds otherwise, by how the Arabic ones begin.
const EXONYMS: &[(&str, &[&str])] = &[
    ("egypt", &["مصر"]),
    ("jordan", &["اردن"]),
    ("algeria", &["جزائر"]),
    ("algier", &["جزائر"]),
    ("morocc", &["مغرب"]),
    ("greece", &["يونان"]),
    ("greek", &["يونان"]),
    ("austria", &["نمس"]),
    ("hungar", &["مجر"]),
    ("german", &["المان"]),
    ("china", &["صين"]),
    ("chinese", &["صين"]),
    ("india", &["هند"]),
    ("japan", &["يابان"]),
    ("jerusalem", &["قدس"]),
    ("damascus", &["دمشق"]),
    ("aleppo", &["حلب"]),
    ("palestin", &["فلسطين"]),
    ("israel", &["اسرائيل"]),
    ("french", &["فرنس"]),
    ("english", &["انجليز", "انكليز"]),
    ("british", &["بريطان"]),
    ("dutch", &["هولند"]),
    ("spanish", &["اسبان"]),
    ("spain", &["اسبان"]),
    ("swede", &["سويد"]),
    ("swiss", &["سويسر"]),
    ("switzerland", &["سويسر"]),
    ("pole", &["بولند"]),
    ("polish", &["بولند"]),
    ("croat", &["كروات"]),
    ("europe", &["اوروب"]),
    ("arab", &["عرب"]),
    ("mosque", &["جامع", "مسجد"]),
    ("nile", &["نيل"]),
    ("euphrates", &["فرات"]),
    ("tigris", &["دجل"]),
    ("gulf", &["خليج"]),
    ("mediterranean", &["متوسط"]),
    ("imf", &["صندوق"]),
    ("un", &["امم"]),
    ("eu", &["اوروب"]),
    ("us", &["اميرك", "امريك", "ولايات"]),
    ("uk", &["بريطان"]),
];

/// Names of days and months: both languages have several, and translations of dates are checked by
/// their numbers.
const CALENDAR: &[&str] = &[
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
    "ramadan",
];

/// The words of a text that an English name may stand for.
#[derive(Debug, Default)]
pub(super) struct Names {
    skeletons: HashSet<String>,
    words: HashSet<String>,
}

impl Names {
    pub fn add(&mut self, word: &str) {
        let word = normalized(word);
        if word.is_empty() {
            return;
        }
        if !word.is_ascii() {
            // The article and the prepositions may or may not be part of the name.
            let bare = word.trim_start_matches(['و', 'ب', 'ل', 'ف', 'ك']);
            let forms =
                [word.as_str(), bare, bare.trim_start_matches("ال"), word.trim_start_matches("ال")];
            for form in forms {
                self.skeletons.insert(arabic_skeleton(form));
                self.words.insert(form.to_owned());
            }
        }
        self.words.insert(word);
    }

    /// Whether one of the words may stand for `name`.
    pub fn has(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        let name = name.trim_end_matches("'s").trim_end_matches("’s");
        if CALENDAR.contains(&name) || self.words.contains(name) {
            return true;
        }
        let exonym = EXONYMS.iter().filter(|(english, _)| match english.len() {
            0..4 => name == *english,
            _ => name.starts_with(english),
        });
        let called = |beginnings: &[&str]| {
            self.words.iter().any(|word| beginnings.iter().any(|begin| word.starts_with(begin)))
        };
        if exonym.into_iter().any(|(_, arabic)| called(arabic)) {
            return true;
        }
        let skeleton = latin_skeleton(name);
        // One consonant is in half of all words.
        let sounds = |skeleton: &str| skeleton.len() > 1 && self.skeletons.contains(skeleton);
        // "Italian": what is added makes an adjective.
        let adjective = |end: &&str| skeleton.strip_suffix(*end).is_some_and(sounds);
        sounds(&skeleton) || ["n", "s", "k"].iter().any(adjective)
    }
}

/// The consonants, those that are confused in writing names made one. Of h, w and y, which come and go with
/// the vowels, only an h at the beginning counts.
fn arabic_skeleton(word: &str) -> String {
    let class = |c: char| match c {
        'ب' | 'پ' => Some('b'),
        'ت' | 'ط' | 'ث' => Some('t'),
        'ج' | 'غ' | 'چ' | 'گ' => Some('g'),
        'خ' | 'ك' | 'ق' => Some('k'),
        'د' | 'ض' | 'ذ' => Some('d'),
        'ر' => Some('r'),
        'ز' | 'ظ' => Some('z'),
        'س' | 'ش' | 'ص' => Some('s'),
        'ف' | 'ڤ' => Some('f'),
        'ل' => Some('l'),
        'م' => Some('m'),
        'ن' => Some('n'),
        _ => None,
    };
    let first = word.starts_with(['ح', 'ه']).then_some('h');
    squeezed(first.into_iter().chain(word.chars().filter_map(class)))
}

fn latin_skeleton(name: &str) -> String {
    let class = |c: char| match c {
        'b' | 'p' => Some('b'),
        't' => Some('t'),
        'g' | 'j' => Some('g'),
        'k' | 'q' | 'c' => Some('k'),
        'd' => Some('d'),
        'r' => Some('r'),
        'z' => Some('z'),
        's' => Some('s'),
        'f' | 'v' => Some('f'),
        'l' => Some('l'),
        'm' => Some('m'),
        'n' => Some('n'),
        _ => None,
    };
    let name = name.replace("ch", "s").replace("ph", "f").replace("gh", "g").replace('x', "ks");
    let name = name.replace("ce", "se").replace("ci", "si");
    let first = name.starts_with('h').then_some('h');
    squeezed(first.into_iter().chain(name.chars().filter_map(class)))
}

fn squeezed(letters: impl Iterator<Item = char>) -> String {
    let mut out = String::new();
    for letter in letters {
        if !out.ends_with(letter) {
            out.push(letter);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Names {
        let mut names = Names::default();
        text.split(' ').for_each(|word| names.add(word));
        names
    }

    #[test]
    fn names_by_their_sound() {
        let names =
            names("وقال محمد الخطيب في القاهرة إن مصر والعراق وباريس وشركة Example وكريم حداد");
        for name in [
            "Mohamed", "Muhammad", "Khatib", "Cairo", "Egypt", "Egyptian", "Iraq", "Iraqi",
            "Paris", "Example", "Karim", "Haddad", "Monday",
        ] {
            assert!(names.has(name), "{name}");
        }
        for name in ["London", "Smith", "Tokyo", "Obama", "France"] {
            assert!(!names.has(name), "{name}");
        }
    }
}
