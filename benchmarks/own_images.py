"""Simulate how often a verdict's interval on a user's own images covers the true effect, with new seeds and images each time.

    python -m benchmarks.own_images        about a minute; writes own_images.md in the folder of this file

Each image has a difficulty that both arms share, and a further one for each arm. Each run adds its own luck, and each seed adds
luck that its two runs share. The true effect is that over all images that could be drawn, which the simulation knows."""

from pathlib import Path

import numpy as np

from study.judge.images import on_other_images
from study.judge.intervals import within_runs

TABLE = Path(__file__).with_name("own_images.md")
IMAGES, SEEDS, WORLDS = (300, 10_000), (3, 6, 12), {"little": 0.2, "some": 0.5, "much": 1.0}
"""Worlds differ in how much the arms differ over images: the standard deviation of what an image adds to one arm alone. That of
the shared difficulty is 2, and that of a run's luck at an image is 1."""
REPEATS = {300: 400, 10_000: 100}
BIAS, SEED_LUCK = -1.2, 0.1
EFFECT = 0.1


def wrong(random: np.random.Generator, own: float, seeds: int, images: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw whether the answers of two arms are wrong: [seeds, images] each."""
    difficulty = BIAS + 2 * random.standard_normal(images)
    shared = SEED_LUCK * random.standard_normal((seeds, 1))
    arms = []
    for effect in (EFFECT, 0.0):
        at_image = difficulty + effect + own * random.standard_normal(images)
        luck = shared + SEED_LUCK * random.standard_normal((seeds, 1)) + random.standard_normal((seeds, images))
        arms.append((at_image + luck > 0).astype(float))
    return arms[0], arms[1]


def true_effect(own: float) -> float:
    """Return the difference in error over all images and seeds, in points. All draws are normal, so it is a difference of two
    normal tails."""
    from scipy.stats import norm

    spread = np.sqrt(4 + own**2 + 2 * SEED_LUCK**2 + 1)
    return 100 * float(norm.sf(-(BIAS + EFFECT) / spread) - norm.sf(-BIAS / spread))


def covered(own: float, seeds: int, images: int, repeats: int) -> tuple[float, float, float, float]:
    """Return the shares of intervals that contain the true effect, over seeds alone and over seeds and images, and their mean
    half widths in points."""
    random, truth, found = np.random.default_rng(2012), true_effect(own), []
    for _ in range(repeats):
        treated, control = wrong(random, own, seeds, images)
        alone = within_runs(100 * (treated - control).mean(1))
        both = on_other_images(treated - control, alone.standard_error / 100, seeds - 1).around(alone, 0.95)
        found.append(
            [one.lower <= truth <= one.upper for one in (alone, both)] + [(o.upper - o.lower) / 2 for o in (alone, both)]
        )
    means = np.mean(found, axis=0).tolist()
    return means[0], means[1], means[2], means[3]


def main() -> None:
    rows = []
    for images in IMAGES:
        for world, own in WORLDS.items():
            for seeds in SEEDS:
                alone, both, width_alone, width_both = covered(own, seeds, images, REPEATS[images])
                rows.append(
                    f"| {images:,} | {world} | {seeds} | {alone:.1%} | {both:.1%} | {width_alone:.2f} | {width_both:.2f} |"
                )
    head = f"""# How often intervals on own images cover the true effect

Made by `python -m benchmarks.own_images`: of nominal 95% intervals, {REPEATS[300]} repeats at 300 test images and
{REPEATS[10_000]} at 10,000 (standard errors of a share 1.1 and 2.2 points).

| test images | arms differ over images | seeds | seeds alone | seeds and images | half width, points | both |
| --- | --- | --- | --- | --- | --- | --- |
"""
    _, heading, more = TABLE.read_text().partition("\n## ") if TABLE.exists() else ("", "", "")  # stays: from trained runs
    TABLE.write_text(head + "\n".join(rows) + "\n" + heading + more)
    print("\n".join(rows))


if __name__ == "__main__":
    main()
