"""Runs parts of a visit to a machine with a GPU: each within a limit and all within a budget, with a report that is
whole after every part. `gpu_parts.py` says what the parts are.

Everything lies in a folder of work: logs/ with the output of every part, results/ with what the parts wrote, scratch/
with what is not kept. After every part the report is written, and an archive of logs, results and report beside it.
"""

import contextlib
import gzip
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import tarfile
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

# A file that is brought home is at most this large, and there are at most so many, the report and its JSON among them.
LARGEST = 15 * 2**20
MOST_FILES = 8
# Seconds of a part that failed and runs again with every kernel waited for.
AGAIN = 30
WAITED_FOR = {"CUDA_LAUNCH_BLOCKING": "1", "TORCH_SHOW_CPP_STACKTRACES": "1"}
# Seconds between asking a process to end and killing it, and those of the budget that no part may take: both, and the
# report.
PATIENCE = 3
MARGIN = 8
OUTCOMES = ["passed", "failed", "not reached", "skipped"]


@dataclass
class Part:
    """One command."""

    title: str
    words: list
    environment: dict = field(default_factory=dict)
    limit: float = 0.0
    # Its output is Markdown and stands in the report.
    shown: bool = False
    # It runs tests, of which at least one must match.
    is_test: bool = False
    # How it runs again where it failed, so that it does not overwrite what the first run wrote; nothing: not at all.
    again: list = field(default_factory=list)
    # The title of a part that must have passed.
    after: str = ""


class Visit:
    """What was run so far, and the time that is left."""

    def __init__(self, title, conditions, report, device, budget, limit, started):
        self.title, self.conditions, self.report, self.device = title, conditions, report, device
        self.budget, self.limit, self.started = budget, limit, started
        self.work = Path(tempfile.mkdtemp(prefix="sgas-gpu-"))
        self.logs, self.results, self.scratch = (self.work / name for name in ("logs", "results", "scratch"))
        for folder in (self.logs, self.results, self.scratch, report.parent):
            folder.mkdir(parents=True, exist_ok=True)
        self.rows, self.sections, self.failures = [], [], []
        self.lock, self.running, self.log_of = threading.RLock(), {}, {}
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self.cut)

    def left(self):
        return self.budget - (time.time() - self.started)

    def run(self, part):
        """Whether it passed."""
        if part.after and part.after not in [row["title"] for row in self.rows if row["outcome"] == "passed"]:
            return self.record(part, "not reached", f"{part.after} did not pass", 0.0)
        if self.left() < 2 * MARGIN:
            return self.record(part, "not reached", "", 0.0)
        with self.lock:
            log = self.logs / f"{len(list(self.logs.glob('*.out'))):02}-{re.sub(r'[^a-z0-9]+', '-', part.title.lower())}"
            log.with_suffix(".out").touch()
            self.log_of[part.title] = log.with_suffix(".out")
        print(f"== {part.title}", flush=True)
        start = time.time()
        reason = self.execute(part, part.words, {}, min(part.limit or self.limit, self.left() - MARGIN), log)
        if reason and part.again and self.device == "cuda" and self.left() > 2 * MARGIN:
            again = log.with_name(log.name + "-again")
            second = self.execute(part, part.again, WAITED_FOR, min(AGAIN, self.left() - MARGIN), again)
            reason += f"; again, with every kernel waited for: {second or 'passed'}"
            self.add_failure(part, reason, [log, again])
        elif reason:
            self.add_failure(part, reason, [log])
        seconds = time.time() - start
        if part.shown:
            self.add_section(part.title, text_of(log.with_suffix(".out")))
        return self.record(part, "failed" if reason else "passed", reason, seconds)

    def execute(self, part, words, environment, limit, log):
        """Why it failed; nothing where it passed."""
        with open(log.with_suffix(".out"), "wb") as out, open(log.with_suffix(".err"), "wb") as err:
            try:
                process = subprocess.Popen([str(word) for word in words], stdin=subprocess.DEVNULL, stdout=out,
                                           stderr=err, env={**os.environ, **part.environment, **environment},
                                           start_new_session=True)
            except OSError as error:
                err.write(f"{error}\n".encode())
                return str(error)
            self.running[process] = part.title
            try:
                code = process.wait(timeout=limit)
            except subprocess.TimeoutExpired:
                end(process)
                return f"still running after {limit:.0f} s"
            finally:
                self.running.pop(process, None)
        if code:
            return f"signal {-code}" if code < 0 else f"exit code {code}"
        if part.is_test and not re.search(r"^test result: ok\. [1-9]", text_of(log.with_suffix(".out")), re.M):
            return "no test was run"
        return ""

    def side_by_side(self, chains, width):
        """Runs lists of parts, `width` lists at a time."""
        waiting = list(chains)

        def work():
            while True:
                with self.lock:
                    if not waiting:
                        return
                    chain = waiting.pop(0)
                for part in chain:
                    self.run(part)

        threads = [threading.Thread(target=work) for _ in range(width)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def skip(self, title, reason):
        return self.record(Part(title, []), "skipped", reason, 0.0)

    def record(self, part, outcome, reason, seconds):
        with self.lock:
            self.rows.append({"title": part.title, "outcome": outcome, "reason": reason, "seconds": round(seconds, 1),
                              "command": shlex.join(str(word) for word in part.words)})
            print(f"   {outcome} {reason} ({seconds:.1f} s, {self.left():.0f} s left)", flush=True)
            self.write()
        return outcome == "passed"

    def add_section(self, title, markdown):
        with self.lock:
            self.sections.append(f"\n## {title}\n{markdown.strip()}\n")

    def add_failure(self, part, reason, logs):
        command = shlex.join(str(word) for word in part.words).replace(str(self.work), "$WORK")
        lines = [f"\n### {part.title}\n{reason}\n\n`{command}`\n"]
        for log in logs:
            tails = (text_of(log.with_suffix(suffix)).strip().splitlines()[-25:] for suffix in (".out", ".err"))
            lines.append(f"{log.name}:\n```\n" + "\n".join(line[:300] for tail in tails for line in tail) + "\n```\n")
        with self.lock:
            self.failures.append("\n".join(lines))

    def keep_compressed(self, path, name=""):
        """Puts a large result into the archive's results."""
        if not path.exists():
            return
        with open(path, "rb") as source, gzip.open(self.results / f"{name or path.name}.gz", "wb", compresslevel=5) as target:
            shutil.copyfileobj(source, target)

    def text(self):
        counts = {outcome: sum(row["outcome"] == outcome for row in self.rows) for outcome in OUTCOMES}
        told = ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count)
        lines = [f"# {self.title}\n", self.conditions.strip(),
                 f"- parts: {told}; {time.time() - self.started:.0f} s of at most {self.budget:.0f}",
                 "\n| part | outcome | s |", "|---|---|---|"]
        for row in self.rows:
            outcome = row["outcome"] if row["outcome"] == "passed" else f"**{row['outcome']}** {row['reason']}"
            lines.append(f"| {row['title']} | {outcome} | {row['seconds']:.1f} |")
        if self.failures:
            lines += ["\n## What failed", *self.failures]
        return "\n".join(lines + self.sections) + "\n"

    def write(self):
        """Report, JSON and archive, each whole or as it was."""
        text = self.text()
        replace(self.report, text.encode())
        document = {"title": self.title, "conditions": self.conditions.strip().splitlines(), "parts": self.rows}
        document["results"] = {path.stem: json.loads(path.read_text()) for path in sorted(self.results.glob("*.json"))}
        replace(self.report.with_suffix(".json"), (json.dumps(document, indent=1) + "\n").encode())
        self.pack()

    def pack(self):
        """The archive; in pieces where it is too large to be brought home as one file."""
        place = self.report.with_suffix(".tar.gz")
        whole = self.work / "archive"
        with tarfile.open(whole, "w:gz", compresslevel=4) as tar:
            for path in (self.report, self.report.with_suffix(".json"), self.logs, self.results):
                tar.add(path, f"{self.report.stem}/{path.name}")
        size = whole.stat().st_size
        for old in place.parent.glob(place.name + "*"):
            old.unlink()
        if size <= LARGEST:
            shutil.move(whole, place)
            return
        with open(whole, "rb") as source:
            for number in range(min(-(-size // LARGEST), MOST_FILES - 2)):
                place.with_name(f"{place.name}.{number}").write_bytes(source.read(LARGEST))

    def cut(self, number, _frame):
        """Whoever calls wants an end: what was found so far is kept."""
        reason = f"cut by signal {number}"
        for process, title in list(self.running.items()):
            end(process)
            self.rows.append({"title": title, "outcome": "failed", "reason": reason, "seconds": 0.0, "command": ""})
        self.rows.append({"title": "the rest", "outcome": "not reached", "reason": reason, "seconds": 0.0, "command": ""})
        self.lock.acquire(timeout=PATIENCE)
        self.write()
        os._exit(1)

    def close(self):
        """The exit code."""
        shutil.rmtree(self.work, ignore_errors=True)
        print(f"report: {self.report}", flush=True)
        return 0 if all(row["outcome"] in ("passed", "skipped") for row in self.rows) else 1


def end(process):
    """Asks a process and all that it started to end, then kills them; what does not even die then is left behind."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=PATIENCE)
            if number == signal.SIGTERM:
                continue
            return


def text_of(path):
    return path.read_text(errors="replace").replace("\r", "\n") if path.exists() else ""


def replace(path, content):
    part = path.with_name(path.name + ".part")
    part.write_bytes(content)
    part.replace(path)
