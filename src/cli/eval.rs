//! `tarjim eval`: how good a translation or an alignment is, measured against a reference.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::json;
use tarjim::eval::{AlignmentCounts, Bleu, Chrf, GoldLinks, IndexBase, Rouge, RougeUnit, WordLink};
use tarjim::{Error, Result};

const LONG_ABOUT: &str = "\
Measure a translation against one or more references, or word links against a gold alignment.

Line N of HYP is compared with line N of every reference. BLEU and chrF2 equal sacrebleu's \
figures with its defaults (13a tokens, case kept, exponential smoothing); ROUGE equals the \
rouge-score package's without stemming, averaged over the lines.

With --alignment, both files hold word links, one sentence a line, such as `0-0 1-2 1-3`. The \
gold file may also hold possible links (`1?2` or `1p2`): they may be found but need not be. \
AER is the alignment error rate, lower is better.";

const EXAMPLES: &str = "\
Examples:
  Score a translation (BLEU and chrF2):
    tarjim eval --ref news.en news.translated.en

  Straight from the translator, with two references, for a script:
    tarjim translate news.ar | tarjim eval --ref a.en --ref b.en --json -

  A summary for each line, by ROUGE:
    tarjim eval --metric rouge --ref summaries.en mine.en

  Word links against links drawn by hand that count words from 1:
    tarjim align news.ar news.en | tarjim eval --alignment --one-based ref --ref gold.talp -";

/// Measure a translation or an alignment against a reference
#[derive(Args, Debug)]
#[command(long_about = LONG_ABOUT, after_long_help = EXAMPLES)]
pub struct EvalArgs {
    /// Translation to measure, one sentence a line; `-` is standard input
    #[arg(value_name = "HYP")]
    pub hypothesis: PathBuf,

    /// Reference translation, or gold alignment; repeat for several references
    #[arg(long = "ref", value_name = "FILE", required = true)]
    pub references: Vec<PathBuf>,

    /// What to measure, separated by commas
    #[arg(
        long = "metric",
        value_name = "METRIC",
        value_enum,
        value_delimiter = ',',
        default_values = ["bleu", "chrf"],
        conflicts_with = "alignment"
    )]
    pub metrics: Vec<Metric>,

    /// Measure word links: alignment error rate, precision and recall
    #[arg(long)]
    pub alignment: bool,

    /// Which alignments count words from 1 instead of 0
    #[arg(long, value_name = "WHICH", value_enum, requires = "alignment")]
    pub one_based: Option<OneBased>,

    /// Print one JSON object with every figure in full
    #[arg(long)]
    pub json: bool,
}

/// A figure of merit for text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Metric {
    /// N-grams of words, 0 to 100
    Bleu,
    /// Character n-grams (chrF2), 0 to 100
    Chrf,
    /// Characters, words and pairs of words (chrF2++), 0 to 100
    #[value(name = "chrf++")]
    ChrfPlusPlus,
    /// ROUGE-1, -2, -L and -Lsum, for summaries
    Rouge,
    /// ROUGE of lightly stemmed words, for summaries in Arabic
    RougeStems,
}

/// The files that count words from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OneBased {
    /// The gold file given with --ref
    Ref,
    /// The file to measure
    Hyp,
    /// Both
    Both,
}

impl OneBased {
    /// Bases of the gold file and of the hypothesis.
    fn bases(which: Option<OneBased>) -> (IndexBase, IndexBase) {
        match which {
            None => (IndexBase::Zero, IndexBase::Zero),
            Some(OneBased::Ref) => (IndexBase::One, IndexBase::Zero),
            Some(OneBased::Hyp) => (IndexBase::Zero, IndexBase::One),
            Some(OneBased::Both) => (IndexBase::One, IndexBase::One),
        }
    }
}

/// Reads the files side by side and writes the figures to `stdout`.
pub fn run(args: &EvalArgs, stdout: &mut dyn Write) -> Result<()> {
    let mut files = vec![Lines::open(&args.hypothesis, true)?];
    for path in &args.references {
        files.push(Lines::open(path, false)?);
    }
    let report = if args.alignment {
        alignment(files, OneBased::bases(args.one_based))?
    } else {
        texts(files, &args.metrics)?
    };
    let mut text = if args.json {
        format!("{:#}", serde_json::Value::Object(report.figures))
    } else {
        report.lines.join("\n")
    };
    text.push('\n');
    stdout.write_all(text.as_bytes()).map_err(Error::write("<stdout>"))
}

/// The same figures twice: to read, and in full.
#[derive(Default)]
struct Report {
    lines: Vec<String>,
    figures: serde_json::Map<String, serde_json::Value>,
}

impl Report {
    fn figure(&mut self, name: &str, value: impl serde::Serialize) {
        self.figures.insert(name.to_owned(), json!(value));
    }
}

fn texts(mut files: Vec<Lines>, metrics: &[Metric]) -> Result<Report> {
    let wanted = |metric| metrics.contains(&metric);
    let mut bleu = wanted(Metric::Bleu).then(Bleu::new);
    let mut chrf = wanted(Metric::Chrf).then(Chrf::new);
    let mut chrf_plus_plus = wanted(Metric::ChrfPlusPlus).then(Chrf::plus_plus);
    let mut rouge = wanted(Metric::Rouge).then(Rouge::new);
    let mut rouge_stems = wanted(Metric::RougeStems).then(|| Rouge::of(RougeUnit::Stems));

    while advance(&mut files)? {
        let lines: Vec<&str> = files.iter().map(|file| file.line.as_str()).collect();
        let (hypothesis, references) = (lines[0], &lines[1..]);
        if let Some(bleu) = &mut bleu {
            bleu.add(hypothesis, references);
        }
        for chrf in [&mut chrf, &mut chrf_plus_plus].into_iter().flatten() {
            chrf.add(hypothesis, references);
        }
        for rouge in [&mut rouge, &mut rouge_stems].into_iter().flatten() {
            rouge.add(hypothesis, references).map_err(|error| files[0].bad_line(error))?;
        }
    }

    let mut report = Report::default();
    report.figure("lines", files[0].number);
    if let Some(score) = bleu.map(|bleu| bleu.score()) {
        report.lines.push(score.to_string());
        report.figure("bleu", score);
    }
    for (name, chrf) in [("chrf", chrf), ("chrf++", chrf_plus_plus)] {
        if let Some(score) = chrf.map(|chrf| chrf.score()) {
            report.lines.push(score.to_string());
            report.figure(name, score);
        }
    }
    for (name, rouge) in [("rouge", rouge), ("rouge-stems", rouge_stems)] {
        if let Some(score) = rouge.map(|rouge| rouge.score()) {
            report.lines.push(score.to_string());
            report.figure(name, score);
        }
    }
    Ok(report)
}

fn alignment(mut files: Vec<Lines>, (gold, links): (IndexBase, IndexBase)) -> Result<Report> {
    if files.len() > 2 {
        return Err(Error::Usage("--alignment takes one --ref, the gold alignment".into()));
    }
    let mut counts = AlignmentCounts::default();
    while advance(&mut files)? {
        let gold = GoldLinks::parse(&files[1].line, gold).map_err(|e| files[1].bad_line(e))?;
        let links =
            WordLink::parse_line(&files[0].line, links).map_err(|e| files[0].bad_line(e))?;
        counts.add(&gold, &links);
    }
    let score = counts.score();
    let mut report = Report { lines: vec![score.to_string()], ..Report::default() };
    report.figure("lines", files[0].number);
    report.figure("alignment", score);
    Ok(report)
}

/// Reads the next line of every file; false at the end of all. It is an error when one file ends
/// before another, or when there is nothing to measure.
fn advance(files: &mut [Lines]) -> Result<bool> {
    let mut ended = 0;
    for file in files.iter_mut() {
        ended += usize::from(!file.advance()?);
    }
    if ended == 0 {
        return Ok(true);
    }
    if ended < files.len() {
        // Count what is left, so that the error can name both lengths.
        for file in files.iter_mut() {
            while file.advance()? {}
        }
    }
    let hypothesis = &files[0];
    match files.iter().find(|file| file.number != hypothesis.number) {
        Some(other) => Err(Error::LineCounts {
            path: hypothesis.path.clone(),
            lines: hypothesis.number,
            other: other.path.clone(),
            other_lines: other.number,
        }),
        None if hypothesis.number == 0 => Err(Error::Usage(format!(
            "{} is empty: there is nothing to measure",
            hypothesis.path.display()
        ))),
        None => Ok(false),
    }
}

/// A file read line by line.
struct Lines {
    path: PathBuf,
    reader: Box<dyn BufRead>,
    /// The current line, without its end.
    line: String,
    /// Number of the current line, counted from 1; at the end, of the last.
    number: u64,
    /// Bytes read so far.
    offset: u64,
}

impl Lines {
    /// Opens a file, or standard input for `-` where that is allowed.
    fn open(path: &Path, stdin_allowed: bool) -> Result<Self> {
        if stdin_allowed && path == Path::new("-") {
            return Ok(Lines::new("<stdin>", Box::new(std::io::stdin().lock())));
        }
        let file = File::open(path).map_err(Error::read(path))?;
        Ok(Lines::new(path, Box::new(BufReader::new(file))))
    }

    fn new(path: impl Into<PathBuf>, reader: Box<dyn BufRead>) -> Self {
        Lines { path: path.into(), reader, line: String::new(), number: 0, offset: 0 }
    }

    /// Reads the next line; false at the end.
    fn advance(&mut self) -> Result<bool> {
        let mut bytes = std::mem::take(&mut self.line).into_bytes();
        bytes.clear();
        let read =
            self.reader.read_until(b'\n', &mut bytes).map_err(Error::read(self.path.as_path()))?;
        if read == 0 {
            return Ok(false);
        }
        self.line = String::from_utf8(bytes).map_err(|error| Error::NotUtf8 {
            path: self.path.clone(),
            offset: self.offset + error.utf8_error().valid_up_to() as u64,
        })?;
        let end = self.line.trim_end_matches(['\n', '\r']).len();
        self.line.truncate(end);
        self.offset += read as u64;
        self.number += 1;
        Ok(true)
    }

    /// An error about the current line.
    fn bad_line(&self, detail: impl std::fmt::Display) -> Error {
        Error::BadLine { path: self.path.clone(), line: self.number, detail: detail.to_string() }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        eval: EvalArgs,
    }

    /// Runs `tarjim eval` with `options`; `files` are written first, and named in the options
    /// by their names alone. Returns what was printed, with the folder's name taken out.
    fn eval(files: &[(&str, &[u8])], options: &str) -> Result<String, String> {
        let folder = tempfile::tempdir().unwrap();
        let prefix = format!("{}{}", folder.path().display(), std::path::MAIN_SEPARATOR);
        for (name, bytes) in files {
            std::fs::write(folder.path().join(name), bytes).unwrap();
        }
        let words = options.split(' ').map(|word| match word.contains('.') {
            true => format!("{prefix}{word}"),
            false => word.to_owned(),
        });
        let args = Program::try_parse_from(["eval".to_owned()].into_iter().chain(words))
            .map_err(|error| error.to_string())?;
        let mut out = Vec::new();
        run(&args.eval, &mut out).map_err(|error| error.to_string().replace(&prefix, ""))?;
        Ok(String::from_utf8(out).unwrap())
    }

    const SAME: &[u8] = b"The bridge opens on Sunday.\n";

    #[test]
    fn prints_bleu_and_chrf() {
        assert_eq!(
            eval(&[("h.en", SAME), ("r.en", SAME)], "--ref r.en h.en").unwrap(),
            "BLEU = 100.00 100.0/100.0/100.0/100.0 (BP = 1.000 ratio = 1.000 hyp_len = 6 ref_len \
             = 6)\nchrF2 = 100.00\n"
        );
    }

    #[test]
    fn prints_what_is_asked_for() {
        let files: &[(&str, &[u8])] = &[("h.en", b"a b\r\n"), ("r.en", b"x y"), ("s.en", b"a b")];
        let printed = eval(files, "--ref r.en --ref s.en --metric rouge,chrf++ h.en").unwrap();
        assert_eq!(
            printed,
            "chrF2++ = 100.00\n\
             ROUGE-1 = 100.00 (P = 100.00 R = 100.00)\n\
             ROUGE-2 = 100.00 (P = 100.00 R = 100.00)\n\
             ROUGE-L = 100.00 (P = 100.00 R = 100.00)\n\
             ROUGE-Lsum = 100.00 (P = 100.00 R = 100.00)\n"
        );
    }

    #[test]
    fn json_holds_the_figures_in_full() {
        let printed = eval(&[("h.en", SAME), ("r.en", SAME)], "--json --ref r.en h.en").unwrap();
        let value: serde_json::Value = serde_json::from_str(&printed).unwrap();
        assert_eq!(value["lines"], 1);
        assert_eq!(value["bleu"]["hyp_len"], 6);
        assert_eq!(value["chrf"]["score"], 100.0);
        assert!(value["bleu"]["signature"].as_str().unwrap().starts_with("nrefs:1|case:mixed|"));
    }

    #[test]
    fn alignments_may_count_from_one() {
        let files: &[(&str, &[u8])] = &[("h.txt", b"0-0 1-1\n\n"), ("gold.talp", b"1-1 2?2\n\n")];
        assert_eq!(
            eval(files, "--alignment --one-based ref --ref gold.talp h.txt").unwrap(),
            "AER = 0.00 (P = 100.00 R = 100.00 F1 = 100.00 links = 2 sure = 1)\n"
        );
        assert_eq!(
            eval(files, "--alignment --one-based both --ref gold.talp h.txt").unwrap_err(),
            "h.txt, line 1: \"0-0\" names word 0, but words are counted from 1"
        );
    }

    #[test]
    fn different_lengths_are_named() {
        let files: &[(&str, &[u8])] = &[("h.en", b"a\nb\nc"), ("r.en", b"a\n")];
        let error = "the number of lines differs: h.en has 3, r.en has 1";
        assert_eq!(eval(files, "--ref r.en h.en").unwrap_err(), error);
        let error = "the number of lines differs: r.en has 1, h.en has 3";
        assert_eq!(eval(files, "--ref h.en r.en").unwrap_err(), error);
    }

    #[test]
    fn bad_input_is_named() {
        let files: &[(&str, &[u8])] =
            &[("h.en", b"a\nb\xff\n"), ("r.en", b"a\nb\n"), ("e.en", b"")];
        assert_eq!(
            eval(files, "--ref r.en h.en").unwrap_err(),
            "h.en is not valid UTF-8: byte 3 cannot be decoded"
        );
        assert!(eval(files, "--ref e.en e.en").unwrap_err().contains("nothing to measure"));
        assert!(eval(files, "--ref no.en h.en").unwrap_err().starts_with("cannot read no.en"));
        assert_eq!(
            eval(files, "--alignment --ref r.en r.en").unwrap_err(),
            "r.en, line 1: \"a\" is not a word link such as 3-4"
        );
        assert!(eval(files, "--alignment --metric bleu --ref r.en r.en").is_err());
        assert!(eval(files, "--alignment --ref r.en --ref r.en r.en").is_err());
        assert!(eval(files, "--metric bleurt --ref r.en r.en").is_err());
        assert!(eval(files, "r.en").is_err());
    }
}
