"""`make soak`: a small plan under random kills for a bounded time; prints runs, kills and losses (0).

Each round runs a whole study in a new folder, kills it repeatedly until it ends, and compares it bit for bit with an
undisturbed one. What to kill is drawn each time: the orchestrator alone, the orchestrator with all workers, or one worker.
"""

import argparse
import itertools
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from injured import RUNS, bits, finish, recorded, start, workers_of

from alexnet.machine import detect

KILLS_A_ROUND = 12
"""After this number of kills the study may end: with a kill every few seconds, there is only time to start."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python tests/faults/soak.py", description=__doc__)
    parser.add_argument(
        "--kills", type=int, default=200, help="end after the round in which so many were reached; default: 200"
    )
    parser.add_argument("--seconds", type=float, default=3600, help="begin no round after so long; default: 3600")
    parser.add_argument("--seed", type=int, default=2012, help="of what is killed, and when; default: 2012")
    args = parser.parse_args()
    luck, began = random.Random(args.seed), time.monotonic()
    kills = rounds = lost = doubled = differing = 0
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        undisturbed = Path(name) / "undisturbed"
        finish(undisturbed)
        expected, expected_points = bits(undisturbed), recorded(undisturbed)
        for number in itertools.count():
            if kills >= args.kills or time.monotonic() - began > args.seconds:
                break
            folder = Path(name) / f"round-{number}"
            kills += hurt(folder, luck, min(KILLS_A_ROUND, args.kills - kills))
            ours, points = bits(folder), recorded(folder)
            rounds += 1
            lost += len(expected.keys() - ours.keys())
            doubled += sum(len(points.get(key, ())) > len(expected_points[key]) for key in expected)
            differing += sum(ours[key] != expected[key] or points[key] != expected_points[key] for key in ours)
            shutil.rmtree(folder)
            minutes = (time.monotonic() - began) / 60
            print(
                f"{rounds} studies, {rounds * RUNS} runs, {kills} kills, "
                f"{lost} lost, {doubled} doubled, {differing} differing; "
                f"{minutes:.0f} min, about {minutes * max(0, args.kills / kills - 1):.0f} left",
                flush=True,
            )
    print(
        f"seed {args.seed}: {rounds * RUNS} runs of {rounds} studies survived {kills} random kills: "
        f"{lost} lost, {doubled} doubled, {differing} not equal in every bit; {detect('cpu', 'fp32', 2).name}"
    )
    return 1 if lost or doubled or differing or kills < args.kills else 0


def hurt(folder: Path, luck: random.Random, kills: int) -> int:
    """Run the small study on `folder` to its end, through at most `kills` kills. Returns how many hit it."""
    hit = 0
    while hit < kills:
        process = start(folder, LEASE_SECONDS="5")
        over = time.monotonic() + luck.uniform(0.5, 12.0)
        while time.monotonic() < over and process.poll() is None:
            time.sleep(0.05)
        if process.poll() is None:
            victim, workers = luck.choice(["orchestrator", "all", "worker"]), workers_of(process)
            hit += 1
            if victim == "worker" and workers:
                os.kill(luck.choice(workers), signal.SIGKILL)
                process.communicate()  # it takes the run up again by itself
            else:
                (os.kill if victim == "orchestrator" else os.killpg)(process.pid, signal.SIGKILL)
                process.wait()
        elif process.returncode == 0:
            break
    finish(folder)
    return hit


if __name__ == "__main__":
    sys.exit(main())
