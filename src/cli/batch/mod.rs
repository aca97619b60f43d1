//! Many inputs, one loop. Texts (blocks of documents, records of streams) are read from as many
//! inputs as it takes to fill the model's batches, worked on together, and written where they
//! belong. An output gets its name in one place, when its input is at an end.

mod folder;
mod interrupt;
mod jobs;
mod options;
mod source;
mod tally;

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tarjim::{Error, Result};

use self::folder::{Folder, digest};
pub use self::jobs::Job;
pub use self::options::{BatchArgs, Plan, key};
pub use self::source::Source;
use self::tally::Status;
pub use self::tally::{Entry, Tally};
use super::progress::Meter;
use super::sink::Sink;
use super::{INTERRUPTED, SOME_FAILED, Volume, report, say};

/// Least bytes of text worked on together.
const LEAST: u64 = 4 << 10;
/// Most of them, for each thread: enough to fill the model's batches with sentences of like length.
const MOST: u64 = 128 << 10;
/// How long that should take: so often results come, and so long an interruption waits.
const PERIOD: Duration = Duration::from_secs(2);
/// How often an unfinished output is saved, so that a later run can go on with it.
const SAVE_EVERY: Duration = Duration::from_millis(250);

/// A text to be worked on.
pub struct Text {
    /// What is said.
    pub text: String,
    /// Bytes of the input that it took.
    pub bytes: u64,
}

/// One input, from its texts to its results.
pub trait Stream {
    /// What is known of a text once it was worked on.
    type Answer;

    /// The next text; none at the end.
    fn read(&mut self) -> Result<Option<Text>>;

    /// Whether the next text may be long in coming.
    fn waits(&mut self) -> bool {
        false
    }

    /// Writes what came of a text. Every text read is answered once, in order.
    fn write(
        &mut self,
        text: &str,
        answer: Result<Self::Answer>,
        out: (&mut dyn Write, &Path),
    ) -> Result<()>;

    /// Writes what remains to be written.
    fn finish(&mut self, out: (&mut dyn Write, &Path)) -> Result<()>;

    /// How far it is: all that was read up to there is answered.
    fn place(&self) -> &Place;

    /// The first record that failed, as an error.
    fn failure(&mut self) -> Option<Error> {
        None
    }
}

/// How far an input was worked on.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Place {
    /// Bytes of the input that are behind.
    pub offset: u64,
    /// Records of the input that are behind, also those that were left out.
    pub number: u64,
    /// What was done.
    #[serde(flatten)]
    pub tally: Tally,
}

/// Opens and answers streams.
pub trait Work {
    /// What it works on.
    type Stream: Stream;

    /// Begins an input, or goes on where an earlier run left it.
    fn open(&self, job: &Job, source: Source, place: Option<Place>) -> Result<Self::Stream>;

    /// Answers texts, all together.
    fn answer(&mut self, texts: &[&str]) -> Result<Vec<Answer<Self>>>;
}

/// What a kind of work says of a text.
type Answer<W> = <<W as Work>::Stream as Stream>::Answer;

/// An input that is being worked on.
struct Open<S> {
    /// Number of the job.
    job: usize,
    stream: S,
    /// None where outputs go to one place.
    sink: Option<Sink>,
    /// SHA-256 of the input, where it is of use.
    digest: Option<String>,
    /// Bytes of the input, and where it was begun.
    size: u64,
    begun: u64,
    saved: Instant,
    /// Nothing more is read from it.
    ended: bool,
    /// Nothing more is written for it.
    broken: bool,
    error: Option<Error>,
}

/// An input looked at.
enum Opened<S> {
    Ready(Box<Open<S>>),
    /// Its output is there.
    Made(Tally),
}

/// Why a run ends early.
enum Stop {
    /// The reader wants it.
    Interrupted,
    /// Nothing more can be written, or the first failure is to end the run.
    Error(Error),
}

/// A run in progress.
struct Run<'a, W: Work> {
    plan: &'a Plan<'a>,
    work: &'a mut W,
    volume: Volume,
    jobs: Vec<Job>,
    /// Number of the job that is begun next.
    next: usize,
    /// What became of each job.
    entries: Vec<Entry>,
    folder: Option<Folder>,
    /// Where all outputs go that have no place of their own.
    shared: Option<Sink>,
    meter: Meter,
    /// The error of the only input.
    error: Option<Error>,
}

/// Works through the inputs.
pub fn run<W: Work>(
    plan: &Plan<'_>,
    jobs: Vec<Job>,
    work: &mut W,
    volume: Volume,
) -> Result<ExitCode> {
    interrupt::listen(volume);
    // At once: that it cannot be written is not to be found out at the end.
    let report = plan.args.report.as_deref().map(|path| Sink::open(Some(path))).transpose()?;
    let folder = plan.args.output_dir.as_deref().map(Folder::open).transpose()?;
    let shared = match jobs.iter().any(|job| job.output.is_none()) {
        true => Some(Sink::open(plan.args.output.as_deref())?),
        false => None,
    };
    let mut run = Run {
        meter: plan.meter(&jobs, volume),
        entries: jobs.iter().map(|job| Entry::new(job, plan.args.output_dir.as_deref())).collect(),
        plan,
        work,
        volume,
        jobs,
        next: 0,
        folder,
        shared,
        error: None,
    };
    let ended = run.drive().and_then(|()| run.finish().map_err(Stop::Error));
    run.report(ended, report)
}

impl<W: Work> Run<'_, W> {
    /// Reads, works, writes, until there is nothing more to be read.
    fn drive(&mut self) -> Result<(), Stop> {
        let mut open: Vec<Open<W::Stream>> = Vec::new();
        let mut wanted = LEAST;
        loop {
            let read = self.read(&mut open, wanted)?;
            let began = Instant::now();
            let texts: Vec<&str> = read.iter().map(|(_, text)| text.text.as_str()).collect();
            let answers = each(&texts, &mut |texts| self.work.answer(texts));
            let seconds = began.elapsed().as_secs_f64();
            let bytes: u64 = read.iter().map(|(_, text)| text.bytes).sum();
            let (mut sentences, mut words) = (0, 0);
            for (&(i, ref text), answer) in read.iter().zip(answers) {
                let share = text.bytes as f64 / bytes.max(1) as f64;
                self.entries[open[i].job].seconds += seconds * share;
                let count = |one: &Open<W::Stream>| {
                    let tally = &one.stream.place().tally;
                    (tally.sentences, tally.words)
                };
                let before = count(&open[i]);
                self.write(&mut open[i], text, answer)?;
                let after = count(&open[i]);
                sentences += after.0 - before.0;
                words += after.1 - before.1;
            }
            self.meter.advance(bytes, sentences, words);
            wanted = next_size(wanted, bytes, seconds);
            let asked = interrupt::asked();
            // Only the last can have more to come.
            let rest = open.pop_if(|last| !last.ended);
            for one in open.drain(..) {
                self.end(one)?;
            }
            if let Some(mut rest) = rest {
                self.save(&mut rest, asked);
                open.push(rest);
            }
            if let Some(shared) = &mut self.shared {
                let (out, path) = shared.writer();
                out.flush().map_err(|error| Stop::Error(Error::write(path)(error)))?;
            }
            if asked {
                return Err(Stop::Interrupted);
            }
            if open.is_empty() && self.next == self.jobs.len() {
                return Ok(());
            }
        }
    }

    /// Reads texts of so many bytes, each with the number of the open input that it is from.
    fn read(
        &mut self,
        open: &mut Vec<Open<W::Stream>>,
        wanted: u64,
    ) -> Result<Vec<(usize, Text)>, Stop> {
        let (mut texts, mut bytes) = (Vec::new(), 0);
        while bytes < wanted && !interrupt::asked() {
            if open.last().is_none_or(|last| last.ended) {
                if open.len() >= self.plan.args.jobs.into() {
                    break;
                }
                let Some(next) = self.next()? else { break };
                open.push(next);
            }
            let i = open.len() - 1;
            let current = &mut open[i];
            match current.stream.read() {
                Ok(Some(text)) => {
                    bytes += text.bytes;
                    texts.push((i, text));
                }
                Ok(None) => current.ended = true,
                Err(_) if interrupt::asked() => break,
                Err(error) => current.fail(error),
            }
            // Who waits for an answer may send the next text only after it.
            if self.plan.flush && !current.ended && current.stream.waits() {
                break;
            }
        }
        Ok(texts)
    }

    /// Opens the next input that is still to be worked on.
    fn next(&mut self) -> Result<Option<Open<W::Stream>>, Stop> {
        while self.next < self.jobs.len() && !interrupt::asked() {
            let n = self.next;
            self.next += 1;
            let size = size(&self.jobs[n]);
            match self.open(n, size) {
                Ok(Opened::Ready(open)) => {
                    self.entries[n].status = Status::Interrupted;
                    return Ok(Some(*open));
                }
                Ok(Opened::Made(tally)) => {
                    self.entries[n].tally = tally;
                    self.ended(n, Status::Skipped, size);
                }
                Err(error) => self.fail(n, error, size)?,
            }
        }
        Ok(None)
    }

    fn open(&mut self, n: usize, size: u64) -> Result<Opened<W::Stream>> {
        let plan = self.plan;
        let job = &mut self.jobs[n];
        if let Some(problem) = job.problem.take() {
            return Err(problem);
        }
        // Before anything is made for an output: an input that cannot be read leaves no trace.
        let mut source = Source::open(job.input.as_deref())?;
        let resumable = plan.resumable && job.output.is_some();
        let digest = match &source {
            Source::File(file) if resumable || self.folder.is_some() => {
                let digest = digest(file).and_then(|digest| source.seek(0).map(|()| digest));
                Some(digest.map_err(Error::read(job.name()))?)
            }
            _ => None,
        };
        let (mut sink, mut place) = (None, None);
        if let Some(name) = &job.output {
            let mut path = name.clone();
            if let Some(folder) = &self.folder {
                if let Some(digest) = &digest
                    && let Some(tally) =
                        folder.made(name, digest, &plan.key, plan.args.skip_existing)
                {
                    return Ok(Opened::Made(tally));
                }
                folder.prepare(name)?;
                path = folder.path(name);
            }
            sink = Some(match &digest {
                Some(digest) if resumable => {
                    let (sink, old) = Sink::resume(&path, &format!("{} {digest}", plan.key))?;
                    place = old;
                    sink
                }
                _ => Sink::open(Some(&path))?,
            });
        }
        let begun = place.as_ref().map_or(0, |place: &Place| place.offset);
        if let Some(place) = &place
            && self.volume >= Volume::Normal
        {
            let name = job.name().display();
            say(&format!(
                "{name}: {} records were answered by an earlier run",
                place.tally.records
            ));
        }
        let stream = self.work.open(job, source, place)?;
        self.meter.input(job.shown(), begun);
        Ok(Opened::Ready(Box::new(Open {
            job: n,
            stream,
            sink,
            digest,
            size,
            begun,
            saved: Instant::now(),
            ended: false,
            broken: false,
            error: None,
        })))
    }

    /// Writes what came of a text.
    fn write(
        &mut self,
        one: &mut Open<W::Stream>,
        text: &Text,
        answer: Result<Answer<W>>,
    ) -> Result<(), Stop> {
        if one.broken {
            return Ok(());
        }
        let shared = one.sink.is_none();
        let Some(sink) = one.sink.as_mut().or(self.shared.as_mut()) else { return Ok(()) };
        match one.stream.write(&text.text, answer, sink.writer()) {
            // Nothing more can be written for any input.
            Err(error @ Error::Write { .. }) if shared => return Err(Stop::Error(error)),
            Err(error) => {
                one.broken = true;
                one.fail(error);
            }
            Ok(()) => {}
        }
        match one.stream.failure() {
            Some(error) if self.plan.args.fail_fast => Err(Stop::Error(error)),
            _ => Ok(()),
        }
    }

    /// Makes sure that what is written is not lost, if a later run can go on with it.
    fn save(&mut self, one: &mut Open<W::Stream>, now: bool) {
        let place = one.stream.place();
        self.entries[one.job].tally = place.tally.clone();
        let (Some(sink), Some(digest)) = (&mut one.sink, &one.digest) else { return };
        if self.plan.resumable && (now || one.saved.elapsed() >= SAVE_EVERY) {
            let saved = sink.save(&format!("{} {digest}", self.plan.key), place);
            one.saved = Instant::now();
            if let Err(error) = saved {
                one.fail(error);
            }
        }
    }

    /// An input is at its end: its output gets its name.
    fn end(&mut self, mut one: Open<W::Stream>) -> Result<(), Stop> {
        let n = one.job;
        self.entries[n].tally = one.stream.place().tally.clone();
        let left = one.size.saturating_sub(one.begun.max(one.stream.place().offset));
        let failed = match one.error.take() {
            Some(error) => Err(error),
            None => self.commit(one),
        };
        match failed {
            Ok(()) => {
                self.ended(n, Status::Done, left);
                Ok(())
            }
            Err(error @ Error::Write { .. }) if self.jobs[n].output.is_none() => {
                Err(Stop::Error(error))
            }
            Err(error) => self.fail(n, error, left),
        }
    }

    fn commit(&mut self, mut one: Open<W::Stream>) -> Result<()> {
        let Some(sink) = one.sink.as_mut().or(self.shared.as_mut()) else { return Ok(()) };
        one.stream.finish(sink.writer())?;
        let Some(sink) = one.sink else { return Ok(()) };
        sink.finish()?;
        if let (Some(folder), Some(name), Some(digest)) =
            (&mut self.folder, &self.jobs[one.job].output, &one.digest)
        {
            folder.add(name, digest, &self.plan.key, &one.stream.place().tally)?;
        }
        Ok(())
    }

    /// An input failed. The others are worked on all the same, unless that is in vain.
    fn fail(&mut self, n: usize, error: Error, left: u64) -> Result<(), Stop> {
        self.entries[n].error = Some(error.to_string());
        self.ended(n, Status::Failed, left);
        let gone = self.folder.as_ref().and_then(|folder| folder.check().err());
        match (&error, gone) {
            (_, Some(gone)) => Err(Stop::Error(gone)),
            (Error::Write { source, .. }, _) if is_hopeless(source.kind()) => {
                Err(Stop::Error(error))
            }
            _ if self.plan.args.fail_fast => Err(Stop::Error(error)),
            _ if self.jobs.len() == 1 => {
                self.error = Some(error);
                Ok(())
            }
            _ => {
                report(&error);
                Ok(())
            }
        }
    }

    fn ended(&mut self, n: usize, status: Status, left: u64) {
        self.entries[n].status = status;
        self.meter.ended(&self.entries[n], left, status == Status::Failed);
    }

    fn failed(&self) -> usize {
        self.entries.iter().filter(|entry| entry.status == Status::Failed).count()
    }

    /// All inputs are at their end.
    fn finish(&mut self) -> Result<()> {
        if let Some(shared) = self.shared.take() {
            shared.finish()?;
        }
        match &mut self.folder {
            Some(folder) if self.entries.iter().all(|entry| entry.status != Status::Failed) => {
                folder.complete()
            }
            _ => Ok(()),
        }
    }

    /// Says how it went.
    fn report(mut self, ended: Result<(), Stop>, report: Option<Sink>) -> Result<ExitCode> {
        let failed = self.failed();
        let mut total = Tally::default();
        self.entries.iter().for_each(|entry| total.add(&entry.tally));
        let status = match &ended {
            Err(Stop::Interrupted) => Status::Interrupted,
            Ok(()) if failed == 0 && total.failed_records == 0 => Status::Done,
            _ => Status::Failed,
        };
        let summary = self.meter.finish(&total);
        if self.volume >= Volume::Verbose {
            say(&summary);
        }
        let inputs = self.jobs.len();
        let seconds = self.meter.seconds();
        let written = match report {
            Some(sink) => self.plan.report(status, &total, seconds, self.entries).write(sink),
            None => Ok(()),
        };
        match ended {
            Err(Stop::Interrupted) => {
                written?;
                let kept = match self.folder {
                    Some(_) => true,
                    None => self.plan.resumable && inputs == 1 && self.plan.args.output.is_some(),
                };
                match kept {
                    true => say("interrupted: the same command goes on from here"),
                    false => say("interrupted"),
                }
                return Ok(ExitCode::from(INTERRUPTED));
            }
            // The more important of two errors.
            Err(Stop::Error(error)) => return Err(error),
            Ok(()) => written?,
        }
        if let Some(error) = self.error {
            return Err(error);
        }
        if failed > 0 {
            say(&format!("error: {failed} of {inputs} inputs failed"));
        }
        if total.failed_records > 0 {
            say(&format!(
                "error: {} of {} records failed: their field `error` says why",
                total.failed_records, total.records
            ));
        }
        Ok(match failed as u64 + total.failed_records {
            0 => ExitCode::SUCCESS,
            _ => ExitCode::from(SOME_FAILED),
        })
    }
}

impl<S> Open<S> {
    fn fail(&mut self, error: Error) {
        self.ended = true;
        self.error.get_or_insert(error);
    }
}

/// Bytes of an input; 0 where that is not known.
fn size(job: &Job) -> u64 {
    let there = job.input.as_ref().and_then(|path| fs::metadata(path).ok());
    there.filter(fs::Metadata::is_file).map_or(0, |there| there.len())
}

/// How many bytes are worked on next, given how long the last ones took.
fn next_size(wanted: u64, bytes: u64, seconds: f64) -> u64 {
    let most = MOST * rayon::current_num_threads() as u64;
    let next = match seconds * (wanted as f64 / bytes.max(1) as f64) < PERIOD.as_secs_f64() {
        true => wanted * 2,
        false => wanted / 2,
    };
    // A wait for input says nothing of the speed.
    if bytes < wanted { wanted } else { next.clamp(LEAST, most) }
}

/// Whether what befell one output will befall the others.
fn is_hopeless(kind: ErrorKind) -> bool {
    use ErrorKind::{BrokenPipe, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    matches!(kind, BrokenPipe | QuotaExceeded | ReadOnlyFilesystem | StorageFull)
}

/// For each text an answer, or why there is none: one that cannot be worked on does not drag down
/// those beside it.
fn each<A>(texts: &[&str], work: &mut impl FnMut(&[&str]) -> Result<Vec<A>>) -> Vec<Result<A>> {
    match work(texts) {
        Ok(answers) => answers.into_iter().map(Ok).collect(),
        Err(error) if texts.len() <= 1 => vec![Err(error)],
        Err(_) => texts.iter().flat_map(|&text| each(&[text], work)).collect(),
    }
}
