"""The speed goals, and the table of how far each is reached. All measured numbers come from results/*.json."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Goal:
    number: int
    what: str
    reach: str
    moonshot: str
    why: str = ""  # why it falls short, or is not measured


GOALS = (
    Goal(
        1,
        "network A of figure 1, 2 CPU cores",
        "4x",
        "5x",
        "convolutions take three quarters of a step; bf16 products run 1.5 times as fast as fp32 here, 2.3 times with AMX",
    ),
    Goal(
        2,
        "response normalization on a CPU, fp32 / bf16",
        "15x / 20x",
        "25x / 35x",
        "limited by arithmetic; a faster formula would round differently and change results",
    ),
    Goal(
        3,
        "SOURCE_2012, 2 CPU cores",
        "5x",
        "10x",
        "limited by matrix products (share of their peak: see below); 4.3 to 5.9 in three runs: page faults slow the baseline",
    ),
    Goal(
        4,
        "small net on a GPU, one run as one CUDA graph",
        "4x",
        "6x",
        "6.1 to 6.4 in five rounds; 5.4 (5.3 to 6.6) in another lease, where the eager step was faster",
    ),
    Goal(
        5,
        "small net on a GPU, many runs at once, a step over its floor",
        "2x",
        "1.5x",
        "the first layer: cuDNN has no fast bf16 convolution of 3 maps, and computes its weight gradient in fp32; "
        "two processes in parallel are faster than one graph (ALEXNET_32: 211 us)",
    ),
    Goal(
        6,
        "a run trained among others equals the run alone",
        "in tolerance",
        "bit-equal",
        "",
    ),
    Goal(
        7,
        "SOURCE_2012 on a GPU, batch 128",
        "45% of its floor; 2x",
        "60%; 3x",
        "3x is reached, the share of the floor is not: 21,700 images/s",
    ),
    Goal(8, "the same, batch 1024", "45% of its floor", "55%", "25,800 images/s, a fifth more than with batch 128; see goal 7"),
    Goal(
        9,
        "response normalization on a GPU",
        "1.5x its bytes; 8x",
        "1.2x its bytes",
        "under 1x, probably as maps that fit the card's 50 MB of cache are not read from its memory (inferred from sizes only)",
    ),
    Goal(
        10,
        "feeder over trainer, raw uint8 from memory",
        "1.0",
        "1.2",
        "the goal is for a GPU at 50,000 images/s; this CPU trains slowly",
    ),
    Goal(
        11,
        "exact training error, share of a run",
        "15%",
        "5%",
        "a pass costs a third of an epoch; finding a run's time to its target takes two",
    ),
    Goal(
        12,
        "ninety ImageNet epochs on one H200",
        "40 min",
        "30 min",
        "this H100 copies 2.4 TB/s, an H200 copies 4.3; see goal 7",
    ),
    Goal(
        13,
        "figure 1 on 2 cores / one H200",
        "30 min / 60 s",
        "15 min / 15 s",
        "CPU: limited by goal 1, and 36 min 46 s for the whole command (NOTES.md); H100: with the time to capture graphs",
    ),
)


def goals_table(found: list[dict]) -> list[str]:
    """Return the lines of the table, one row a goal, from the results `found`. Each of their rows may hold a goal's number."""
    lines = ["| goal | measured | reach | moonshot | why it falls short |", "| --- | --- | --- | --- | --- |"]
    for goal in GOALS:
        lines_of_goal = [
            f"**{number(row)}** {row['what']}, {row['case']} ({results['machine']}, {results['when']})"
            for results in found
            for row in results["rows"]
            if row.get("goal") == goal.number
        ]
        measured = "<br>".join(lines_of_goal) or "not measured"
        lines.append(f"| {goal.number}, {goal.what} | {measured} | {goal.reach} | {goal.moonshot} | {goal.why} |")
    return lines


def number(row: dict) -> str:
    """Return the main number of a row of any kind, as text."""
    floor = [f"{row['over_floor']:.2g}x its floor"] if "over_floor" in row else []
    floor += [f"{row['share_of_floor']:.0%} of its floor's pace"] if "share_of_floor" in row else []
    if numbers := [*([f"{row['ratio']:.1f}x"] if "ratio" in row else []), *floor]:
        return "; ".join(numbers)
    if "share" in row:
        return f"{row['share']:.0%}"
    if "equal" in row:
        return f"{row['equal']} of {row['of']}"
    return f"{row['minutes']:.3g} min"
