"""How cost grows: seconds of an epoch of network A of figure 1 with images, with runs at once, and with width."""

from alexnet.machine import detect
from benchmarks.throughput import images_per_second


def measure(device: str) -> list[dict]:
    cores = detect(device, jobs=1).threads
    rows = []
    for images in (1000, 2000, 4000, 8000):
        pace = images_per_second("figure_1", 1, 1, device, True, "--images", str(images))
        rows.append({"curve": "training images", "x": images, "seconds": images / pace, "of": "an epoch, one thread"})
    for runs in (1, 2, 4):
        jobs = min(runs, cores)
        pace = images_per_second("figure_1", jobs, 1, device, True)
        rows.append(
            {"curve": "runs", "x": runs, "seconds": runs * 8000 / pace, "of": f"an epoch of 8,000 images each, {cores} cores"}
        )
    for width in (0.5, 1.0, 2.0):
        pace = images_per_second("figure_1", 1, 1, device, True, "--width", str(width))
        rows.append({"curve": "width", "x": width, "seconds": 8000 / pace, "of": "an epoch of 8,000 images, one thread"})
    return rows
