"""Measures the engine on a GPU, tunes it, and compares it with what else could run its networks.

    python -m benchmarks.gpu [--only NETWORK,...] [--do STEP,...] [--batch 128] [--dtype bf16] [--minutes 9]

Steps, in order:

    ceilings   how fast a copy and a matrix product are here
    kernels    every configuration of every kernel that the networks could use, compared with the definition
    tune       every problem of the networks: what is right is timed, and the fastest goes into the book
    layers     every launch beside the best that a library and one kernel after it do
    networks   whole networks beside eager, a CUDA graph, torch.compile, max-autotune; who is wrong does not count

Results lie in benchmarks/results, a file for each GPU, batch and dtype, and the book in archdsl/engine/gpu.
What they hold already is not measured again unless --again; a step that no time is left for is left for the
next run. --dry-run goes through all of it on a CPU, with Triton's interpreter, on a toy: its figures mean
nothing and are written nowhere else than in --results."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import gpu_steps
from benchmarks.gpu_record import NETWORKS, TOY, Record, Settings, say
from benchmarks.gpu_workers import Workers

RESULTS = Path(__file__).with_name("results")
STEPS = ("ceilings", "kernels", "tune", "layers", "networks")


def run(settings: Settings, steps: tuple[str, ...], results: Path, book_path: Path) -> int:
    """Exit code: 3 where the GPU was lost, and the same command goes on."""
    from archdsl.bench.command import gpu_name
    from archdsl.bench.gpu import device_of
    from archdsl.engine.gpu import book as books
    from archdsl.engine.gpu import cudnn_side, hand
    from archdsl.engine.gpu.backend import machine_of
    from archdsl.engine.gpu.candidate import Candidate
    from archdsl.engine.gpu.choose import Chooser
    from archdsl.engine.gpu.problem import Problem

    about = {"gpu": "dry run"} | gpu_name(settings.device)
    machine = machine_of(device_of(settings.device))
    about |= {"machine": machine, "date": datetime.now(UTC).isoformat(timespec="seconds")}
    about["package"] = cudnn_side.package()
    word = "".join(c if c.isalnum() else "-" for c in about["gpu"].lower())
    file = f"gpu-{word}-b{settings.batch}-{settings.dtype}.json"
    record = Record(results / file, about, RESULTS / file)
    # Where another book is written, it begins with what ships.
    book = books.load(machine, [books.SHIPPED, book_path], about["package"])

    def candidates(problem: Problem) -> tuple[Candidate, ...]:
        out = gpu_steps.never(record)
        return tuple(each for each in hand.candidates(None, problem) if each.label not in out)

    chooser, workers = Chooser(candidates, book), Workers(settings.workers, settings.device)
    work = {
        "ceilings": partial(gpu_steps.ceilings, settings, record),
        "kernels": partial(gpu_steps.kernels, settings, record, chooser, workers),
        "tune": partial(
            gpu_steps.tuned, settings, record, chooser, workers, lambda: books.save(book, book_path)
        ),
        "layers": partial(gpu_steps.layers, settings, record, chooser),
        "networks": partial(gpu_steps.networks, settings, record),
    }
    say(", ".join(filter(None, (machine, about["package"]))))
    try:
        for step in steps:
            before = time.monotonic()
            if settings.over():
                say(f"no time left for {step}")
                continue
            if step == "layers":
                workers.close()
            work[step]()
            record.save()
            say(f"{step}: {time.monotonic() - before:.0f} s")
    except gpu_steps.Stopped as lost:
        say(f"{lost}\nThe GPU can't be used by this process any more; what was found is kept: run it again.")
        return 3
    finally:
        workers.close()
        record.save()
    say(f"wrote {record.path} and {book_path}")
    return 0


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", default=",".join(NETWORKS), metavar="NETWORK,...")
    parser.add_argument("--do", default=",".join(STEPS), metavar="STEP,...")
    parser.add_argument("--batch", type=int, default=128, metavar="N")
    parser.add_argument("--dtype", choices=("bf16", "f32"), default="bf16")
    parser.add_argument(
        "--minutes", type=float, default=9.0, metavar="N", help="after which nothing is begun"
    )
    parser.add_argument("--peers", default="eager,graph,compile,max-autotune", metavar="PEER,...")
    parser.add_argument("--rounds", type=int, default=10, metavar="N")
    parser.add_argument(
        "--workers", type=int, default=min(os.cpu_count() or 1, 8), metavar="N", help="that compile"
    )
    parser.add_argument("--results", type=Path, metavar="DIR")
    parser.add_argument("--book", type=Path, metavar="FILE")
    parser.add_argument("--again", action="store_true", help="measure what is known, too")
    parser.add_argument("--dry-run", action="store_true")
    args = parser.parse_args(arguments)
    steps = tuple(step for step in STEPS if step in args.do.split(","))
    for step in args.do.split(","):
        if step not in STEPS:
            parser.error(f"no step is called {step!r}; there are {', '.join(STEPS)}")
    if args.dry_run:
        os.environ["TRITON_INTERPRET"] = "1"  # before Triton is imported
    import archdsl
    from archdsl.engine.gpu import book as books

    try:
        if args.dry_run:
            loaded = {"toy": archdsl.loads(TOY)}
        else:
            loaded = {name: archdsl.load(name) for name in args.only.split(",")}
        results = args.results or Path(tempfile.mkdtemp() if args.dry_run else RESULTS)
        settings = Settings(
            loaded,
            2 if args.dry_run else args.batch,
            args.dtype,
            time.monotonic() + 60 * args.minutes,
            args.dry_run,
            args.again,
            0 if args.dry_run else args.workers,
            tuple(args.peers.split(",")),
            1 if args.dry_run else args.rounds,
        )
        return run(
            settings,
            steps,
            results,
            args.book or (results / "tuned.jsonl" if args.dry_run else books.SHIPPED),
        )
    except (archdsl.ArchError, ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
