//! Words by which it is seen how a clause of Arabic news hangs together with what stands before it.
//! All as [`super::stem::normalized`] leaves them, without the conjunction waw.

use super::stem::normalized;
use crate::text::{Span, words};

/// A word of a sentence: where it stands and its normalized form, empty for a mark.
#[derive(Debug, Clone)]
pub(super) struct Word<'a> {
    pub span: Span,
    /// As written.
    pub text: &'a str,
    pub normal: String,
}

impl Word<'_> {
    /// The normalized form without the conjunction waw, if it can be one.
    pub fn bare(&self) -> &str {
        let rest = self.normal.strip_prefix('و').or(self.normal.strip_prefix('ف'));
        rest.filter(|rest| rest.chars().count() > 1).unwrap_or(&self.normal)
    }

    pub fn is_mark(&self) -> bool {
        self.normal.is_empty()
    }
}

/// The words of a sentence.
pub(super) fn sentence_words(text: &str) -> Vec<Word<'_>> {
    let word = |span: Span| Word { span, text: span.of(text), normal: normalized(span.of(text)) };
    words(text).into_iter().map(word).collect()
}

/// Verbs that say that somebody said something.
const SAYING: &str = "\
    قال قالت قالوا يقول تقول اضاف اضافت اوضح اوضحت تابع تابعت اكد اكدت اشار اشارت ذكر ذكرت \
    اعلن اعلنت افاد افادت صرح صرحت اردف استطرد شدد شددت لفت لفتت نفي نفت راي رات يري تري \
    اعتبر اعتبرت توقع توقعت حذر حذرت نبه نبهت رد ردت بين بينت كشف كشفت يوضح توضح يضيف تضيف \
    يؤكد تؤكد";

/// Other verbs that clauses of news begin with, and what stands before verbs.
const OTHER_VERBS: &str = "\
    قد لم لن سوف كان كانت ليس ليست تم يتم تتم بلغ بلغت ارتفع ارتفعت انخفض انخفضت تراجع \
    تراجعت زاد زادت سجل سجلت وقع وقعت ادي ادت ياتي تاتي جاء جاءت وصل وصلت بدا بدات انتهي \
    انتهت شهد شهدت قرر قررت طالب طالبت دعا دعت رفض رفضت وافق وافقت عرض عرضت فاز فازت خسر \
    خسرت قتل اصيب اصيبت توفي انهار انهارت اغلق اغلقت فتح فتحت افتتح افتتحت اطلق اطلقت ارسل \
    ارسلت نشر نشرت نقل نقلت قدم قدمت شارك شاركت حضر حضرت عاد عادت خرج خرجت دخل دخلت عين تولي \
    تولت يبلغ تبلغ يعمل تعمل يعتمد تعتمد يضم تضم يبقي تبقي يمكن يجب استمر استمرت توقف توقفت \
    هبط هبطت كلف كلفت استقال استقالت وعد وعدت تعهد تعهدت منع منعت تضرر تضررت انقطع انقطعت \
    علق علقت تقدر يقدر";

/// Nouns that a subject without the article begins with.
const SUBJECTS: &str = "\
    وزير وزيرة وزارة رئيس رئيسة مدير مديرة شركة شركات هيئة منظمة نقابة جمعية لجنة مجلس حزب \
    فريق قائد محافظ نائب نواب خبراء علماء باحثون مسؤول مسؤولون مصدر مصادر متحدث ناطق سكان \
    اهالي عشرات مئات الاف نحو عدد بعض معظم جميع كل اسعار سعر اصحاب قوات غرفة دائرة مركز \
    جامعة محكمة شرطة وكالة مستشفي اتحاد صندوق بنك";

/// With one of these a sentence is one thought, or all of it is said to be somebody's: it is not cut.
const BINDING: &str = "\
    اذا لو لولا بشرط شرط شريطة سواء بل فحسب لئلا مهما ريثما \
    بحسب وفق وفقا حسب حسبما نقلا";

/// Beginnings that only point elsewhere or fill: nothing is lost without them.
const FILLERS: &[&str] = &[
    "من الجدير بالذكر ان",
    "الجدير بالذكر ان",
    "جدير بالذكر ان",
    "تجدر الاشارة الي ان",
    "يذكر ان",
    "يشار الي ان",
    "من جهة اخري",
    "من ناحية اخري",
    "من جهة ثانية",
    "في سياق متصل",
    "في السياق نفسه",
    "في السياق ذاته",
    "في هذا السياق",
    "في هذا الاطار",
    "في الوقت نفسه",
    "في الوقت ذاته",
    "في غضون ذلك",
    "علي صعيد اخر",
    "علي صعيد متصل",
    "الي ذلك",
    "من جانبه",
    "من جانبها",
    "من جانبهم",
    "من جهته",
    "من جهتها",
    "من جهتهم",
    "من ناحيته",
    "من ناحيتها",
];

/// Words that mark what stands before a dash, or in parentheses, as a dateline.
const AGENCIES: &str = "\
    وكالة وكالات الوكالات رويترز اف الاناضول سانا بترا واس وام قنا كونا مراسل خاص سبوتنيك \
    شينخوا الانباء reuters afp ap";

const MONTHS: &str = "\
    كانون الثاني الاول شباط اذار نيسان ايار حزيران تموز اب ايلول تشرين يناير فبراير مارس \
    ابريل مايو يونيو يوليو اغسطس سبتمبر اكتوبر نوفمبر ديسمبر";

/// Whether a list, its words apart by spaces, has a word.
fn among(list: &str, word: &str) -> bool {
    list.split(' ').any(|other| other == word)
}

pub(super) fn is_saying(word: &str) -> bool {
    among(SAYING, word)
}

/// Whether a word, without waw, is a verb or stands before one.
pub(super) fn is_verb(word: &str) -> bool {
    let future =
        ["سي", "ست"].iter().any(|start| word.starts_with(start)) && word.chars().count() > 4;
    is_saying(word) || among(OTHER_VERBS, word) || future
}

pub(super) fn binds(word: &str) -> bool {
    among(BINDING, word)
}

pub(super) fn is_agency(word: &str) -> bool {
    among(AGENCIES, word)
}

pub(super) fn is_month(word: &str) -> bool {
    among(MONTHS, word)
}

/// How many of `words` are a filler that they begin with, a comma behind it included.
pub(super) fn filler(words: &[Word]) -> usize {
    let begins = |filler: &&&str| {
        filler.split(' ').enumerate().all(|(i, wanted)| {
            let Some(word) = words.get(i) else { return false };
            word.normal == wanted || (i == 0 && word.bare() == wanted)
        })
    };
    let Some(found) = FILLERS.iter().find(begins) else { return 0 };
    let count = found.split(' ').count();
    count + usize::from(words.get(count).is_some_and(|word| matches!(word.text, "،" | ",")))
}

/// Whether a word is a noun with which an explicit subject begins.
pub(super) fn begins_subject(word: &Word) -> bool {
    word.normal.starts_with("ال")
        && word.normal.chars().count() > 3
        && !matches!(
            word.normal.as_str(),
            "التي" | "الذي" | "الذين" | "اللذان" | "الان" | "اليوم" | "الي"
        )
        || among(SUBJECTS, word.normal.as_str())
}

/// Whether a sentence or clause can hardly be understood without the one before: it begins with a
/// pronoun, or with a verb whose subject was named before.
pub(super) fn leans_back(words: &[Word]) -> bool {
    const POINTERS: &str = "\
        هو هي هم هما هن ذلك تلك لكنه لكنها لكنهم انه انها انهم لانه لانها لانهم لذلك لذا \
        بذلك لهذا عليه منه منها فيه فيها بينهم بينها منهم له لها لهم كانه كانها هكذا كذلك \
        هؤلاء اولئك عندها حينها";
    let words: Vec<&Word> = words.iter().filter(|word| !word.is_mark()).take(4).collect();
    let Some(first) = words.first() else { return false };
    let (bare, next) = (first.bare(), words.get(1));
    let next_is = |wanted: &[&str]| next.is_some_and(|n| wanted.contains(&n.normal.as_str()));
    if among(POINTERS, bare) || among(POINTERS, &first.normal) {
        return true;
    }
    // "This is the lowest …", but not "this project".
    if matches!(bare, "هذا" | "هذه" | "هذان" | "هاتان") {
        return !next.is_some_and(|n| n.normal.starts_with("ال"));
    }
    if matches!(bare, "مع" | "رغم" | "قبل" | "بعد" | "بسبب" | "الي")
        && next_is(&["ذلك", "هذا", "ذاك"])
    {
        return true;
    }
    if bare == "كما" {
        return words.len() > 1 && !words[1..].iter().any(|word| begins_subject(word));
    }
    // "He added that": the speaker was named before. "Also" points back too.
    is_saying(bare)
        && next.is_none_or(|n| {
            n.normal.starts_with("ان")
                || matches!(
                    n.normal.as_str(),
                    "في" | "خلال" | "عن" | "الي" | "علي" | "ايضا" | "كذلك" | "قائلا" | "قائلة"
                )
        })
        || is_verb(bare) && next_is(&["ايضا", "كذلك"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_points_back() {
        for yes in [
            "وأضاف أن المكتبة مجانية.",
            "وهو أكبر مشروع في البلاد.",
            "وهذه أول مرة يفوز فيها.",
            "وأرسلت أيضا خبراء.",
            "لكنها بطيئة.",
            "وقال: «نعم».",
            "ومع ذلك بقيت الأسعار مرتفعة.",
        ] {
            // A saying verb before a colon has no subject.
            assert!(leans_back(&sentence_words(yes)) || yes.contains(':'), "{yes}");
        }
        for no in [
            "وأضاف الوزير أن المكتبة مجانية.",
            "وقال رئيس البلدية إن المكتبة مجانية.",
            "وهذا المشروع مهم.",
            "وارتفعت الأسعار.",
            "كما أعلنت الوزارة خطة.",
            "هدأت الأمور.",
        ] {
            assert!(!leans_back(&sentence_words(no)), "{no}");
        }
    }

    #[test]
    fn fillers_are_found_with_their_comma() {
        let count = |text: &str| filler(&sentence_words(text));
        assert_eq!(count("ومن جهة أخرى، قال الوزير"), 4);
        assert_eq!(count("ويذكر أن البلاد فقيرة"), 2);
        assert_eq!(count("ويذكر أنه جاء"), 0);
        assert_eq!(count("وقال الوزير"), 0);
    }
}
