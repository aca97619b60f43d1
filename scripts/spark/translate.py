#!/usr/bin/env python3
"""Translate Arabic to English with tarjim on Apache Spark.

Every task runs one tarjim as a filter of JSON lines, with as many threads as the task has cores
(spark.task.cpus, 1 by default), and adds these columns to the records:

  translation  the English text
  model        what translated it
  warnings     what deserves doubt: truncated, restored, lost, repetitive ...
  sentences    with --align: every sentence with its score, words and word links
  error        why there is no translation; a bad record never fails the job
  bad_record   the input line of a record with an error (jsonl, csv)
  record_id    a checksum of the record and of how it is translated, for --resume

A tarjim that dies or hangs fails its task, which Spark tries again (spark.task.maxFailures). The
output of a task is one file, which appears when it is complete and holds the same rows in the same
order when the task is tried again. At the end input and output are counted against each other.

  python translate.py --master 'local[2]' --model MODEL --output english news.jsonl
  spark-submit translate.py --tarjim /opt/tarjim --model MODEL --output hdfs:///english hdfs:///news

docs/scale.md shows how to ship tarjim and its model to the nodes of a cluster.
"""
import argparse
import collections
import os
import re
import selectors
import shlex
import signal
import socket
import subprocess
import sys
import tempfile

import pyarrow
from pyspark import SparkFiles, TaskContext
from pyspark.errors import AnalysisException
from pyspark.sql import SparkSession, Window, functions as F
from pyspark.sql.types import StringType, StructField, StructType

WORD = "text STRING, start BIGINT, end BIGINT"
SENTENCES = f"""ARRAY<STRUCT<
  source STRING, start BIGINT, end BIGINT, target STRING, score DOUBLE,
  source_words ARRAY<STRUCT<{WORD}>>,
  target_words ARRAY<STRUCT<{WORD}, confidence DOUBLE>>,
  alignment ARRAY<STRUCT<source INT, target INT, score DOUBLE>>,
  lost ARRAY<STRUCT<{WORD}>>, added ARRAY<STRUCT<{WORD}>>, restored ARRAY<STRUCT<{WORD}>>,
  warnings ARRAY<STRING>>>"""

# Columns of the work in progress: the record as it came, what tarjim is sent, what it said.
RECORD, LINE, ANSWER = "tarjim_record", "tarjim_line", "tarjim_answer"
# Columns of the output.
BAD, ID = "bad_record", "record_id"

# Batches of records sent ahead of the answers, so that tarjim never waits for Spark.
AHEAD = 2
# Bytes handed to the pipe, or taken from it, at a time.
CHUNK = 1 << 16
# Bytes of stderr, and of the record it was at, in the message of a task that failed.
SHOWN_STDERR, SHOWN_RECORD = 4000, 300


class Wrong(Exception):
    """The run cannot be made: what is wrong, and what to do about it."""

    def __init__(self, fact, hint=None):
        super().__init__(f"{fact}\n\nhint: {hint}" if hint else fact)


class TarjimFailed(Exception):
    """A tarjim that died or hung. Spark tries the task again."""


# ---------------------------------------------------------------- on the executors


class Filter:
    """A running tarjim: lines go in, and as many come out, in order.

    One loop writes and reads, whichever the pipes are ready for, so neither side can wait for the
    other for ever.
    """

    def __init__(self, command, timeout):
        self.timeout = timeout
        self.unsent, self.part = bytearray(), bytearray()
        # Lines without an answer; answers that nobody asked for yet; how many were given.
        self.sent, self.lines, self.answered = collections.deque(), collections.deque(), 0
        self.closing = False
        self.stderr = tempfile.TemporaryFile()
        try:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.stderr, bufsize=0)
        except OSError as error:
            self.stderr.close()
            raise TarjimFailed(f"cannot start {command[0]} on {socket.gethostname()}: {error}") from None
        self.stdin, self.stdout = self.process.stdin, self.process.stdout
        for pipe in (self.stdin, self.stdout):
            os.set_blocking(pipe.fileno(), False)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.stdout, selectors.EVENT_READ)

    def send(self, lines):
        """Takes lines to be answered; they are written while answers are waited for."""
        if not self.unsent and not self.closing:
            self.selector.register(self.stdin, selectors.EVENT_WRITE)
        for line in lines:
            self.unsent += line + b"\n"
        self.sent.extend(lines)

    def close(self):
        """No more lines will be sent."""
        self.closing = True
        if not self.unsent:
            self.stdin.close()

    def answers(self, count):
        """The next answers, waited for."""
        while len(self.lines) < count:
            self._step()
        self.answered += count
        for _ in range(count):
            self.sent.popleft()
        return [self.lines.popleft() for _ in range(count)]

    def finish(self):
        """Checks that nothing more comes and that tarjim ended well."""
        while not self.stdout.closed:
            self._step()
        if self.lines or self.part:
            self._fail("gave more answers than records")
        try:
            # 3: some records failed, which their answers say.
            if self.process.wait(self.timeout) not in (0, 3):
                self._fail("ended badly")
        except subprocess.TimeoutExpired:
            self._fail(f"did not end within {self.timeout} s")

    def kill(self):
        """Leaves no process behind, whatever happened."""
        self.selector.close()
        self.process.kill()
        self.process.wait()
        for pipe in (self.stdin, self.stdout, self.stderr):
            pipe.close()

    def _step(self):
        """Waits until a pipe is ready, and writes or reads."""
        ready = self.selector.select(self.timeout)
        if not ready:
            self._fail(f"gave no sign of life for {self.timeout} s")
        for key, _ in ready:
            (self._write if key.fileobj is self.stdin else self._read)()

    def _write(self):
        try:
            written = os.write(self.stdin.fileno(), bytes(self.unsent[:CHUNK]))
        except BrokenPipeError:
            self._fail("stopped reading")
        del self.unsent[:written]
        if not self.unsent:
            self.selector.unregister(self.stdin)
            if self.closing:
                self.stdin.close()

    def _read(self):
        read = os.read(self.stdout.fileno(), CHUNK)
        if not read:
            self.selector.unregister(self.stdout)
            self.stdout.close()
            if len(self.lines) < len(self.sent):
                self._fail("ended too early")
            return
        self.part += read
        if b"\n" in read:
            *whole, self.part = self.part.split(b"\n")
            self.lines.extend(whole)

    def _fail(self, how):
        try:
            code = self.process.wait(2)
            how += f" ({signal.Signals(-code).name})" if code < 0 else f" (exit code {code})"
        except subprocess.TimeoutExpired:
            how += " and was killed"
            self.process.kill()
        self.stderr.seek(0)
        said = self.stderr.read()[-SHOWN_STDERR:].decode("utf-8", "replace").strip()
        context = TaskContext.get()
        where = f"on {socket.gethostname()}"
        if context:
            where += f", partition {context.partitionId()}, attempt {context.attemptNumber()}"
        unanswered = list(self.sent)[len(self.lines):][:1]
        at = "".join(f"\nfirst record without an answer: {line[:SHOWN_RECORD].decode('utf-8', 'replace')}"
                     for line in unanswered)
        raise TarjimFailed(
            f"tarjim {how} {where}, after {self.answered + len(self.lines)} answers{at}\n"
            f"it said: {said or '(nothing)'}")


def find(name):
    """A file or folder where it was shipped to; else the name as it is."""
    shipped = SparkFiles.get(name)
    return shipped if not os.path.isabs(name) and os.path.exists(shipped) else name


def answering(tarjim, model, options, timeout):
    """What a task runs: record batches with a column of lines in, the same with one of answers out."""

    def run(batches):
        running, pending = None, collections.deque()

        def answered():
            batch = pending.popleft()
            lines = [line.decode() for line in running.answers(batch.num_rows)]
            return batch.append_column(ANSWER, pyarrow.array(lines, batch.schema.field(LINE).type))

        try:
            for batch in batches:
                if running is None and batch.num_rows:
                    command = [find(tarjim), "translate", "--quiet", "--input-format", "jsonl", "--flush",
                               "--model", find(model), "--threads", str(TaskContext.get().cpus()), *options]
                    running = Filter(command, timeout)
                if batch.num_rows:
                    running.send(batch.column(LINE).cast(pyarrow.binary()).to_pylist())
                    pending.append(batch)
                while len(pending) > AHEAD:
                    yield answered()
            if running:
                running.close()
                while pending:
                    yield answered()
                running.finish()
        finally:
            if running:
                running.kill()

    return run


# ---------------------------------------------------------------- on the driver


def column(name):
    """A column by its name, which may hold dots."""
    return F.col(f"`{name}`")


def records(spark, args):
    """The input: for each record its columns, the line of JSON that tarjim is sent, its id, and for
    csv the row if it does not fit the header."""
    options = dict(args.read_option)
    if args.input_format == "csv":
        # A quote within quotes is doubled (RFC 4180); Spark by itself wants a backslash.
        options = {"escape": '"', **options}
    read = spark.read.options(**options)
    if args.schema:
        read = read.schema(args.schema)
    if args.input_format == "jsonl":
        # What is wrong with a line is for tarjim to say: it gets them as they stand.
        found = read.json(args.input).schema
        fields = StructType([field for field in found if field.name != "_corrupt_record"])
        lines = spark.read.options(**options).text(args.input, lineSep="\n")
        frame = lines.select(F.from_json("value", fields).alias("fields"), F.col("value").alias(LINE))
        frame = frame.select(*(F.col("fields").getField(name).alias(name) for name in fields.names), LINE)
    elif args.input_format in ("text", "files"):
        frame = read.text(args.input, lineSep="\n", wholetext=args.input_format == "files")
        frame = frame.select(F.col("_metadata.file_path").alias("file"), F.col("value").alias(args.field))
    elif args.input_format == "parquet":
        frame = read.parquet(*args.input)
    else:
        fields = read.csv(args.input, header=True).schema.add(BAD, StringType())
        read = spark.read.options(**options).schema(fields)
        frame = read.csv(args.input, header=True, columnNameOfCorruptRecord=BAD)
    names = [name for name in frame.columns if name not in (LINE, BAD)]
    for name in [args.field, *(args.columns or [])]:
        if name not in names:
            raise Wrong(f"no column `{name}` in the input; it has {', '.join(names) or 'none'}",
                        "name the column of the Arabic text with --field, others with --columns")
    if LINE not in frame.columns:
        text = column(args.field)
        if BAD in frame.columns:
            text = F.when(F.col(BAD).isNull(), text)
        frame = frame.withColumn(LINE, F.to_json(F.struct(text.alias("text"))))
        whole = F.to_json(F.struct("*"))
    else:
        whole = F.col(LINE)
    # What decides the row of a record is in its id, so that --resume cannot mix two settings.
    how = "\0".join([args.model, args.tarjim_options, args.field, str(args.align), str(args.columns)])
    frame = frame.withColumn(ID, F.md5(F.concat_ws("\0", F.lit(how), whole)))
    carried = args.columns or names
    taken = {"translation", "model", "warnings", "sentences", "error", BAD, ID}.intersection(carried)
    if taken:
        raise Wrong(f"the input has a column `{min(taken)}`, which the output needs",
                    "name the columns to be carried through with --columns")
    ours = [name for name in (LINE, BAD, ID) if name in frame.columns]
    return frame.select(F.struct(*map(column, carried)).alias(RECORD), *ours)


def translated(todo, args):
    """The records with their translations, in the columns of the output."""
    options = [*shlex.split(args.tarjim_options), "--target-field", "translation"]
    options += ["--field", args.field if args.input_format == "jsonl" else "text"]
    options += ["--align"] if args.align else []
    schema = StructType([*todo.schema.fields, StructField(ANSWER, StringType())])
    done = todo.mapInArrow(answering(args.tarjim, args.model, options, args.timeout), schema)
    kinds = "translation STRING, model STRING, warnings ARRAY<STRING>, error STRING"
    kinds += f", sentences {SENTENCES}" if args.align else ""
    done = done.withColumn(ANSWER, F.from_json(ANSWER, kinds))
    got = {name: F.col(f"{ANSWER}.{name}") for name in ("translation", "model", "warnings", "sentences", "error")}
    if args.align:
        all_warnings = F.flatten(F.filter(got["sentences"].getField("warnings"), F.isnotnull))
        got["warnings"] = F.when(F.size(all_warnings) > 0, F.array_distinct(all_warnings))
    else:
        del got["sentences"]
    if args.input_format == "jsonl":
        got[BAD] = F.when(got["error"].isNotNull(), F.col(LINE))
    elif args.input_format == "csv":
        got[BAD] = F.col(BAD)
        unfit = F.lit("the row does not fit the header")
        got["error"] = F.when(got[BAD].isNotNull(), unfit).otherwise(got["error"])
    carried = [F.col(RECORD).getField(name).alias(name) for name in todo.schema[RECORD].dataType.names]
    return done.select(*carried, *(value.alias(name) for name, value in got.items()), ID)


def output(spark, args, schema="record_id STRING, error STRING"):
    """What has been written."""
    return spark.read.schema(schema).format("json" if args.output_format == "jsonl" else "parquet").load(args.output)


def counted(frame, name):
    return frame.groupBy(ID).agg(F.count("*").alias(name))


def balance(frame, written):
    """How many records of the input are not in the output, and the other way round. Records that
    occur several times are counted so."""
    both = counted(frame, "wanted").join(counted(written, "written"), ID, "full").fillna(0)
    more = F.col("wanted") - F.col("written")
    return both.select(
        F.coalesce(F.sum("wanted"), F.lit(0)), F.coalesce(F.sum(F.greatest(more, F.lit(0))), F.lit(0)),
        F.coalesce(F.sum(F.greatest(-more, F.lit(0))), F.lit(0))).first()


def remaining(frame, written):
    """The records that the output lacks. Of a record that occurs several times, and of which some
    were written, the others."""
    nth = F.row_number().over(Window.partitionBy(ID).orderBy(ID))
    done = counted(written, "written")
    rest = frame.withColumn("nth", nth).join(done, ID, "left")
    return rest.where(F.col("written").isNull() | (F.col("nth") > F.col("written"))).drop("nth", "written")


def exists(spark, path):
    path = spark._jvm.org.apache.hadoop.fs.Path(path)
    return path.getFileSystem(spark._jsc.hadoopConfiguration()).exists(path)


def run(spark, args):
    frame = records(spark, args)
    todo, partitions, lacking = frame, args.partitions, None
    if exists(spark, args.output):
        if not args.resume:
            raise Wrong(f"{args.output} exists", "continue it with --resume, or name another --output")
        written = output(spark, args)
        _, lacking, other = balance(frame, written)
        if other:
            raise Wrong(f"{args.output} holds {other} records that this input, model and options do not give",
                        "resume with what it was begun with, or name another --output")
        say(f"{lacking} records remain")
        partitions = partitions or frame.rdd.getNumPartitions()
        todo = remaining(frame, written)
    if partitions:
        # A shuffle brings rows in any order, and a task that is tried again must see the same.
        todo = todo.repartition(partitions, ID).sortWithinPartitions(ID)
    if lacking != 0:
        writer = translated(todo, args).write.mode("append")
        (writer.json if args.output_format == "jsonl" else writer.parquet)(args.output)

    written = output(spark, args)
    total, lost, doubled = balance(frame, written)
    failed = written.where(F.col("error").isNotNull()).count()
    say(f"{total} records, {failed} with an error, in {args.output}")
    if lost or doubled:
        raise Wrong(f"{lost} records are missing in {args.output}, and {doubled} should not be there",
                    "did the input change meanwhile, or did two runs write at once?")


def session(args):
    builder = SparkSession.builder.appName("tarjim")
    if args.master:
        builder = builder.master(args.master)
        if args.master.startswith("local"):
            os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    for name, value in args.conf:
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    given = dict(spark.sparkContext.getConf().getAll())

    def default(name, value):
        if name not in given:
            spark.conf.set(name, value)

    # Short tasks, so that no core waits long for the last: text is small and translating it slow.
    default("spark.sql.files.maxPartitionBytes", str(int(args.split_mb * (1 << 20))))
    default("spark.sql.files.openCostInBytes", str(64 << 10))
    default("spark.sql.execution.arrow.maxRecordsPerBatch", "256")
    # A task's file goes to its place when the task is done, so a run that is stopped keeps what it has.
    # That is safe here: one file a task, under the same name and with the same rows if tried again.
    committer = "mapreduce.fileoutputcommitter.algorithm.version"
    if f"spark.hadoop.{committer}" not in given:
        spark.sparkContext._jsc.hadoopConfiguration().set(committer, "2")
    return spark


def say(message):
    print(message, file=sys.stderr)


def pair(text):
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError("not NAME=VALUE")
    return name, value


def positive(kind):
    def parse(text):
        value = kind(text)
        if not value > 0:
            raise argparse.ArgumentTypeError("not above 0")
        return value
    return parse


def arguments(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("input", nargs="+", help="files, folders or globs, wherever Spark can read")
    add("--output", required=True, metavar="DIR", help="folder to write")
    add("--model", required=True, metavar="ID|PATH",
        help="as tarjim's --model, the same on every node; a relative path is also looked for among shipped files")
    add("--tarjim", default="tarjim", metavar="PATH",
        help="the program: on the nodes, or among shipped files [default: tarjim on the PATH]")
    add("--input-format", choices=["jsonl", "csv", "parquet", "text", "files"], default="jsonl",
        help="text: a record a line; files: a record a file [default: jsonl]")
    add("--output-format", choices=["parquet", "jsonl"], default="parquet", help="[default: parquet]")
    add("--field", default="text", metavar="NAME", help="column of the Arabic text [default: text]")
    add("--columns", type=lambda text: text.split(","), metavar="A,B,C",
        help="columns carried through [default: all]")
    add("--schema", metavar="DDL", help="schema of the input, as 'id BIGINT, text STRING'; saves reading jsonl twice")
    add("--read-option", type=pair, action="append", default=[], metavar="NAME=VALUE",
        help="option of Spark's reader, such as sep=; or multiLine=true")
    add("--align", action="store_true", help="add the column `sentences`, with scores and word links")
    add("--tarjim-options", default="", metavar="OPTIONS", help="more options for tarjim, as '--beam 1 --no-restore'")
    add("--resume", action="store_true", help="translate only what the output lacks")
    add("--split-mb", type=positive(float), default=0.25, metavar="MB",
        help="most input a task gets, where the format can be split [default: 0.25]")
    add("--partitions", type=positive(int), metavar="N",
        help="spread the records over N tasks with a shuffle; for input that cannot be split, such as .gz")
    add("--timeout", type=positive(float), default=900, metavar="SECONDS",
        help="a tarjim that gives no sign of life for so long is killed and its task fails [default: 900]")
    add("--master", help="Spark master, when not started by spark-submit: local[2], spark://host:7077")
    add("--conf", type=pair, action="append", default=[], metavar="NAME=VALUE", help="Spark configuration, likewise")
    return parser.parse_args(argv)


def main(argv=None):
    args = arguments(argv)
    spark = None
    try:
        spark = session(args)
        run(spark, args)
    except Wrong as error:
        say(f"error: {error}")
        return 1
    except AnalysisException as error:
        say("error: " + str(error).split(";\n")[0].strip())
        return 1
    except Exception as error:
        # Between the frames of two stacks of calls stands what matters.
        failed = re.search(r"TarjimFailed: (.*?)\s*(?=\n\s+at |\n\s*SQLSTATE|\nDriver stacktrace|\Z)", str(error), re.DOTALL)
        if not failed:
            raise
        say(f"error: a task failed for good; what is done is kept, and --resume continues\n\n{failed[1]}")
        return 1
    finally:
        if spark:
            spark.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
