"""`python -m tests.fuzz [TARGET …]`, which is `make fuzz`: each target for so long, led by what it reaches.

atheris leads through the Python; the accelerator is built by clang with libFuzzer, AddressSanitizer and
UndefinedBehaviorSanitizer, and where there is no clang goes without those. Begins with the corpus, and with `--keep`
puts the smallest one that reaches as much in its place. What fails is left in `.venv/fuzz`, and the exit code is 1.
"""

import argparse
import ast
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import FrameType

from tests.fuzz.targets import TARGETS

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
WORK = ROOT / ".venv/fuzz"
CORPUS = HERE / "corpus"
SANITIZED = "accelerator"
#: Bytes of an input: what takes more takes longer, and reaches no more.
LONGEST = 512


def kept(target: str) -> list[bytes]:
    """The corpus of a target: a literal of bytes on each line."""
    return [ast.literal_eval(line) for line in (CORPUS / f"{target}.txt").read_text().splitlines()]


def keep(target: str, inputs: Iterable[bytes]) -> None:
    (CORPUS / f"{target}.txt").write_text(
        "".join(f"{each!r}\n" for each in sorted(inputs, key=lambda each: (len(each), each)))
    )


def command(target: str) -> tuple[list[str], dict[str, str]]:
    """What runs a target, and in which environment."""
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    if target == SANITIZED and shutil.which("clang"):
        environment |= {
            "PYTHONHOME": sys.base_prefix,
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src"), sysconfig.get_path("purelib")]),
            "PYTHONMALLOC": "malloc",  # so that every object has an end that is watched
            "ASAN_OPTIONS": "detect_leaks=0",  # Python leaves much behind when it ends
        }
        return [str(built())], environment
    return [sys.executable, "-m", "tests.fuzz.guided", target], environment


def built() -> Path:
    """The accelerator with the sanitizers, in a program of libFuzzer's."""
    WORK.mkdir(parents=True, exist_ok=True)
    there, parts = WORK / "with_sanitizers", WORK / "_accelerator.o"
    sources = [ROOT / "src/hubbub/_accelerator.c", HERE / "accelerator.c"]
    if there.exists() and all(source.stat().st_mtime < there.stat().st_mtime for source in sources):
        return there
    clang = ["clang", "-g", "-O1", "-fno-sanitize-recover=all", f"-I{sysconfig.get_path('include')}"]
    libraries = sysconfig.get_config_var("LIBDIR")
    version = sysconfig.get_config_var("LDVERSION")
    stable = ["-DPy_LIMITED_API=0x030B0000", "-fsanitize=fuzzer-no-link,address,undefined"]
    link = [f"-L{libraries}", f"-lpython{version}", f"-Wl,-rpath,{libraries}", "-Wl,--export-dynamic"]
    subprocess.run([*clang, *stable, "-c", str(sources[0]), "-o", str(parts)], check=True)
    whole = [*clang, "-fsanitize=fuzzer,address,undefined", str(sources[1]), str(parts), *link, "-o", str(there)]
    subprocess.run(whole, check=True)
    return there


def fuzz(target: str, options: Sequence[str], work: Path = WORK) -> tuple[bool, str]:
    """Runs it with libFuzzer's `options`; whether nothing was found, and what there is to say of it."""
    found, begun = work / f"{target}.found", work / f"{target}.begun"
    for directory in (found, begun):
        directory.mkdir(parents=True, exist_ok=True)
    for number, each in enumerate(kept(target)):
        (begun / str(number)).write_bytes(each)
    run, environment = command(target)
    log = work / f"{target}.log"
    started = time.monotonic()
    with log.open("wb") as output:
        done = subprocess.run(
            [*run, *options, f"-max_len={LONGEST}", f"-artifact_prefix={work}/{target}-", str(found), str(begun)],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=output,
            check=False,
        )
    said = log.read_text(errors="replace")
    runs = max(map(int, re.findall(r"^#(\d+)", said, re.MULTILINE)), default=0)
    reached = (re.findall(r"cov: (\d+)", said) or ["0"])[-1]
    what = f"{runs:,} inputs in {time.monotonic() - started:.0f} s, {reached} branches, {len(kept(target))} seeds"
    return done.returncode == 0, what if done.returncode == 0 else f"{what}\n{said[-4000:]}"


def minimise(target: str) -> None:
    """The corpus becomes a small one that reaches what was reached."""
    if command(target)[0][0] != sys.executable:
        least = WORK / f"{target}.least"
        shutil.rmtree(least, ignore_errors=True)
        least.mkdir()
        run, environment = command(target)
        merge = [*run, "-merge=1", f"-max_len={LONGEST}", str(least), str(WORK / f"{target}.found")]
        subprocess.run(merge, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL, check=True)
        keep(target, {*kept(target), *(path.read_bytes() for path in least.iterdir())})
        return
    # atheris cannot: libFuzzer would start the interpreter without the program.
    there: set[object] = set()
    small = kept(target)
    for each in small:
        there |= reached(target, each)
    for each in sorted({path.read_bytes() for path in (WORK / f"{target}.found").iterdir()}, key=len):
        new = reached(target, each) - there
        if new:
            there |= new
            small.append(each)
    keep(target, small)


def reached(target: str, data: bytes) -> set[object]:
    """The steps from line to line that are taken in the modules it is about."""
    steps: set[object] = set()

    def local(before: int) -> Callable[..., object]:
        def trace(frame: FrameType, event: str, _: object) -> object:
            nonlocal before
            if event == "line":
                steps.add((frame.f_code, before, frame.f_lineno))
                before = frame.f_lineno
            return trace

        return trace

    def trace(frame: FrameType, _: str, __: object) -> object:
        return local(0) if "/hubbub/protocol/" in frame.f_code.co_filename else None

    sys.settrace(trace)
    try:
        TARGETS[target](data)
    finally:
        sys.settrace(None)
    return steps


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - the result of a command


def main(arguments: Sequence[str] | None = None) -> int:
    made = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    made.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}; default all")
    made.add_argument("--seconds", type=int, default=600, help="for each. Default 600")
    made.add_argument("--keep", action="store_true", help="put the smallest corpus that reaches as much in place")
    asked = made.parse_args(arguments)
    well = True
    for target in asked.targets or TARGETS:
        fine, what = fuzz(target, [f"-max_total_time={asked.seconds}", "-timeout=20"])
        say(f"{target}: {'nothing found' if fine else 'FOUND SOMETHING'}, {what}")
        well = well and fine
        if asked.keep:
            minimise(target)
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
