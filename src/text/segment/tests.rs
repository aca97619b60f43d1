use proptest::prelude::*;

use super::*;

/// Sentences as they are, verbatim text between ⟨ and ⟩.
fn split(text: &str) -> Vec<String> {
    segment(text)
        .into_iter()
        .filter_map(|segment| match segment.kind {
            SegmentKind::Sentence => Some(segment.span.of(text).to_string()),
            SegmentKind::Verbatim => Some(format!("⟨{}⟩", segment.span.of(text))),
            SegmentKind::Gap => None,
        })
        .collect()
}

/// Checks texts in which sentences are set apart by ‖ (which is removed first).
#[track_caller]
fn check(marked: &[&str]) {
    for marked in marked {
        let wanted: Vec<_> = marked.split('‖').map(|s| s.trim().to_string()).collect();
        assert_eq!(split(&marked.replace('‖', "")), wanted);
    }
}

#[test]
fn marks_end_sentences() {
    check(&[
        "وصل الوفد صباحا.‖ غادر مساء.",
        "هل وصل الوفد؟‖ نعم!‖ غادر أمس…‖ لم يعد",
        "كيف حالك ؟‖ أنا بخير .‖ شكرا",
        "ماذا؟!‖ لا أصدق!!‖ حقا ؟ !‖ نعم",
        "تأخر القطار؛‖ فعاد الناس إلى بيوتهم",
        "وصل الوفد، ثم اجتمع بالوزير، وغادر",
        "یہ پہلا جملہ ہے۔‖ یہ دوسرا ہے",
        "قال: سأعود غدا",
        "هذا صحيح.[12]‖ وذاك أيضا.[3][4]‖ انتهى",
        "صدر القرار أمس.\u{200F}‖ ورحب به الناس",
        "«إنه بريء» (!) كما قال المحامي.‖ ثم انصرف",
    ]);
}

#[test]
fn news_sites_print_no_space_after_the_full_stop() {
    check(&[
        "انتهت جولة السائح.‖وقبل ذلك زار المتحف.‖كما زار السوق",
        "سمع الصوت «في محيط المبنى».‖كما سمعه الجيران",
        "وقع ذلك عام 2017.‖وقال الشهود غير ذلك",
        "ارتفعت النسبة إلى 10%.‖وقال الخبير إنها سترتفع",
        "عاد اللاعب.‖«سأفوز غدا» هكذا قال",
        "انتشر الخبر.‖The خبر",
        "هل فاز؟‖نعم!‖فاز أمس؛‖ثم سافر",
        "حضر مندوب شركة IBM.‖وقال إنه سعيد",
        "صَرَّحَ الوَزِيرُ.‖وَأَضَافَ قَائِلًا",
        "انظر ملف.txt في المجلد",
    ]);
}

#[test]
fn marks_inside_numbers_and_addresses_end_nothing() {
    check(&[
        "ارتفع بنسبة 3.5 في المئة إلى 1.000.000 دينار.‖ وانخفض ٢٫٥ ثم ٣.٥",
        "في 12.5.2020 عند 10.30 مساء وصل.‖ ثم عاد",
        "بتاريخ 12. 5. 2020 وصل",
        "زوروا www.example.com أو https://example.org/a.b?c=1!x.‖ ثم اكتبوا إلى a.b@example.org.‖ شكرا",
        "الخبر في https://example.org/news.‖وقال الناشر إنه صحيح",
        "افتح الملف file.txt ثم أغلقه",
        "بلغ عددهم 40.‖ وقال آخرون 50",
        "امتدت الحرب بين 1914 و1918.‖ ثم انتهت عام ١٩١٨.‖ وعاد الجنود",
        "امتدت الحرب بين 1914 و1918.‖ثم انتهت",
        "الأسباب: 1. الفقر",
    ]);
}

#[test]
fn abbreviations_and_initials_end_nothing() {
    check(&[
        "التقى د. سامي وأ.د. وليد وم. خالد في القاعة.‖ ثم خرجوا",
        "انظر ص. 15 وج. 3 من الكتاب",
        "كتبت ج. ك. رولينغ الرواية.‖ وترجمت",
        "ألف J. K. Rowling الرواية.‖ ثم نجحت",
        "زار Dr. Smith المدينة",
        "في سنة 500 ق.م. بدأ البناء",
        "في عام 1441هـ. بدأ البناء.‖ ثم توقف",
        "في عام 2020 م.‖ وقال المؤرخ غير ذلك",
        "باع التفاح والعنب إلخ. في السوق",
        "باع التفاح والعنب إلخ.‖ وعاد إلى بيته",
        "يعيش في U.S. منذ عام",
        "أ.د.سامي وصل",
    ]);
}

#[test]
fn quotations_are_kept_whole() {
    check(&[
        "قال «لن أعود. لن أكتب. هل تسمع؟ لا!» ثم خرج.‖ وعاد",
        "قال “لن أعود. وداعا” ثم خرج.‖ وعاد",
        "قال ”لن أعود. وداعا“ ثم خرج.‖ وعاد",
        "قال \"لن أعود. وداعا\" ثم خرج.‖ وعاد",
        "جاء (وكان متعبا. جدا) ثم نام.‖ واستيقظ",
        "قال: «وصلنا اليوم.»‖ ثم انصرف الجميع",
        "قال: «وصلنا اليوم.»‖\nانصرف الجميع",
        "«وصلنا اليوم.» قال الرجل",
        "«هل وصلتم؟» سأل الرجل.‖ لم يجبه أحد",
        "«هل وصلتم؟»‖ وأجاب الرجل بنعم",
        "قال: «وصلنا».‖ ثم انصرف",
        "قال: \"وصلنا.\"‖ ثم انصرف",
        "« علامة وحيدة. ‖لا تبتلع شيئا. ‖حقا",
        "قال «أ «ب. ج» د. هـ» ثم مضى",
    ]);
    // A longer one is two stray marks: each full stop in it ends a sentence.
    let long = format!("قال «{}ثم» ذهب.", "هذه جملة قصيرة. ".repeat(30));
    assert_eq!(split(&long).len(), 31);
}

#[test]
fn dots() {
    check(&[
        "لا أعرف...‖ ربما غدا",
        "كنت أظن...لكنني أخطأت",
        "كنت أظن..لكنني أخطأت",
        "صمت طويلا ......‖ ثم تكلم",
        "...ثم تكلم",
        "انتهى كل شيء..",
        "قالوا... ، ثم مضوا",
    ]);
}

#[test]
fn pieces_without_arabic_are_verbatim() {
    assert_eq!(
        split("نص هنا\nhttps://example.org/a\n\n12.5\nHello, world. Yes.\n-----\n..\nنص"),
        [
            "نص هنا",
            "⟨https://example.org/a⟩",
            "⟨12.5⟩",
            "⟨Hello, world. Yes.⟩",
            "⟨-----⟩",
            "⟨..⟩",
            "نص"
        ]
    );
    assert_eq!(split("قال نعم. Hello there."), ["قال نعم.", "⟨Hello there.⟩"]);
    for text in ["؟؟", "٣٫٥", "- 1.", "«»"] {
        assert_eq!(split(text), [format!("⟨{text}⟩")]);
    }
    for text in ["", "\n\r\n \t\u{FEFF}\n\u{200F}"] {
        assert!(split(text).is_empty());
    }
}

#[test]
fn headlines_and_lists_stand_alone() {
    assert_eq!(
        split(
            "افتتاح مكتبة جديدة في المدينة\n\nأسباب النجاح:\n- العمل الجاد\n• الصبر\n1. العلم\n٢) المال\nأ) الحظ\n"
        ),
        [
            "افتتاح مكتبة جديدة في المدينة",
            "أسباب النجاح:",
            "العمل الجاد",
            "الصبر",
            "العلم",
            "المال",
            "الحظ"
        ]
    );
    let text = "- نص\n  * آخر";
    let gaps: Vec<_> = segment(text)
        .into_iter()
        .filter(|segment| segment.kind == SegmentKind::Gap)
        .map(|segment| segment.span.of(text))
        .collect();
    assert_eq!(gaps, ["- ", "\n  * "]);
    // A long item is not joined with the next one.
    assert_eq!(
        split(
            "- شراء عدد كبير من الكتب الجديدة لمكتبة المدرسة القديمة\n- شراء عدد كبير من المقاعد لمكتبة المدرسة القديمة."
        ),
        [
            "شراء عدد كبير من الكتب الجديدة لمكتبة المدرسة القديمة",
            "شراء عدد كبير من المقاعد لمكتبة المدرسة القديمة."
        ]
    );
    // A headline is shorter than the paragraph under it.
    let body = "اجتمع أعضاء المجلس صباح اليوم ".repeat(8);
    let article = format!("افتتاح مكتبة جديدة في وسط المدينة القديمة اليوم\n{body}.");
    assert_eq!(split(&article).len(), 2);
    // Headlines of different lengths.
    let headlines = "افتتاح مكتبة جديدة في وسط المدينة القديمة اليوم\nفوز الفريق\nارتفاع أسعار القمح في الأسواق العالمية للشهر الثالث على التوالي\nوفاة الشاعر\n";
    assert_eq!(split(headlines).len(), 4);
}

#[test]
fn wrapped_lines_are_joined() {
    let wrapped = "اجتمع أعضاء مجلس المدينة صباح اليوم في القاعة الكبرى لمناقشة\n\
                   خطة العام القادم مع عدد من الخبراء في التعليم والصحة، واتفقوا\n\
                   على بناء مدرسة جديدة. وقال رئيس المجلس إن البناء سيبدأ في شهر\n\
                   أيلول القادم.\n";
    let joined = "اجتمع أعضاء مجلس المدينة صباح اليوم في القاعة الكبرى لمناقشة\nخطة العام القادم مع عدد من الخبراء في التعليم والصحة، واتفقوا\nعلى بناء مدرسة جديدة.";
    let last = "وقال رئيس المجلس إن البناء سيبدأ في شهر\nأيلول القادم.";
    assert_eq!(split(wrapped), [joined, last]);
    // The same with CR LF, under a headline, twice, with a list after it.
    assert_eq!(
        split(&wrapped.replace('\n', "\r\n")),
        [joined, last].map(|s| s.replace('\n', "\r\n"))
    );
    let page = format!("اجتماع المجلس\n{wrapped}{wrapped}- بند أول\n");
    assert_eq!(split(&page), ["اجتماع المجلس", joined, last, joined, last, "بند أول"]);
    // Without a full stop at the end, four lines are enough to tell.
    assert_eq!(split(wrapped.trim_end_matches(['\n', '.'])).len(), 2);
    // A quotation that spans a line which ends with a full stop.
    let quoted = "قال رئيس المجلس أمام الحاضرين «إن البناء سيبدأ في شهر أيلول.\nلن نتأخر يوما واحدا» ثم شكر الحاضرين جميعا وغادر القاعة.";
    assert_eq!(split(quoted), [quoted]);
    // Blank lines separate whatever stands around them.
    assert_eq!(split(&wrapped.replace("لمناقشة\n", "لمناقشة\n \n")).len(), 3);
}

#[test]
fn wrapping_at_any_width_is_undone() {
    let text = "اجتمع أعضاء مجلس المدينة صباح اليوم في القاعة الكبرى لمناقشة خطة العام القادم مع عدد من \
                الخبراء في التعليم والصحة، واتفقوا على بناء مدرسة جديدة في الحي الشرقي. وقال رئيس المجلس \
                في تصريح للصحفيين إن البناء سيبدأ في شهر أيلول القادم وينتهي بعد عام واحد على الأكثر.";
    for width in 50..=120 {
        let mut wrapped = String::new();
        let mut column = 0;
        for word in text.split_whitespace() {
            let length = word.chars().count();
            if column + 1 + length > width {
                wrapped.push('\n');
                column = 0;
            } else if column > 0 {
                wrapped.push(' ');
                column += 1;
            }
            wrapped.push_str(word);
            column += length;
        }
        let found: Vec<_> = split(&wrapped).iter().map(|s| s.replace('\n', " ")).collect();
        assert_eq!(found, split(text), "width {width}");
    }
}

#[test]
fn one_sentence_a_line_and_dialogue() {
    check(&[
        "وصل القطار متأخرا إلى محطة المدينة القديمة أمس.‖\nنزل الركاب من العربات وتوجهوا إلى بيوتهم جميعا.‖\nأغلقت المحطة.",
    ]);
    assert_eq!(
        split("- كيف حالك؟\n- بخير، وأنت؟\n— الحمد لله!"),
        ["كيف حالك؟", "بخير، وأنت؟", "الحمد لله!"]
    );
}

#[test]
fn columns_stand_apart() {
    assert_eq!(
        split("| المدينة | السكان |\n|---|---|\n| القاهرة | 10.2 |\nالاسم\tالعمر\nسامي\t40"),
        ["المدينة", "السكان", "⟨|---|---|⟩", "القاهرة", "⟨10.2⟩", "الاسم", "العمر", "سامي", "⟨40⟩"]
    );
}

#[test]
fn long_lines_take_linear_time() {
    let pieces = [
        "ا",
        "ا.",
        ". ",
        "a.",
        "«",
        "»",
        "(ا.",
        "\"",
        "1. ",
        "د. ",
        "؟ ",
        "\n",
        "ا\n",
        "«ا.» ",
        "[1]",
        "ا.\u{200F}",
        "كلمة ",
        "2017.وقال ",
        "a@",
    ];
    let clock = std::time::Instant::now();
    for piece in pieces {
        let text = piece.repeat(300_000 / piece.len());
        assert!(!segment(&text).is_empty());
        cut_point(&text);
        break_points(&text);
    }
    let text = "وصل المدير «اليوم. غدا».وقال 3.5 نعم؟ ".repeat(35_000);
    assert!(text.len() > 2_000_000);
    assert_eq!(segment(&text).len(), 35_000 * 3);
    assert!(clock.elapsed().as_secs() < 30, "{:?}", clock.elapsed());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn segments_tile_any_text(
        text in prop_oneof![
            any::<String>(),
            "[ \\n\\r\\tابدو.؟!؛…:،«»()\\[\\]\"#|\\-_0-9٣aB\\u{64B}\\u{640}\\u{200F}\\u{FEFF}]{0,60}",
        ],
    ) {
        let mut at = 0;
        let mut gap_before = false;
        for Segment { span, kind } in segment(&text) {
            prop_assert!(span.start == at && !span.is_empty());
            let piece = span.of(&text);
            prop_assert_eq!(kind == SegmentKind::Sentence, kind != SegmentKind::Gap && has_arabic_letter(piece));
            if kind == SegmentKind::Gap {
                prop_assert!(!gap_before);
            } else {
                prop_assert_eq!(piece.trim(), piece);
            }
            gap_before = kind == SegmentKind::Gap;
            at = span.end;
        }
        prop_assert_eq!(at, text.len());
    }

    /// Only list markers of Arabic letters ("أ)") may be left out of the sentences.
    #[test]
    fn no_word_is_lost(words in prop::collection::vec("[ابتثجد]{2,6}[ .؟،»«\\n]{1,2}", 0..30)) {
        let text = words.concat();
        for Segment { span, kind } in segment(&text) {
            if kind == SegmentKind::Gap {
                prop_assert!(!has_arabic_letter(span.of(&text)));
            }
        }
    }
}
