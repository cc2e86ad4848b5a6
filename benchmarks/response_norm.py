"""Speed of response normalization, forward and backward, at conv1's size (32x96x55x55), against torch.nn.LocalResponseNorm.

torch has no bf16 version on a CPU: there the baseline converts to float32 and back, as its users must.
"""

import statistics
from functools import partial

import torch

from alexnet.model.response_norm import CrossMapNorm, WithinMapNorm
from alexnet.recipe import ResponseNorm
from benchmarks.timed_in_turn import in_turn, ratio


def by_averages(maps: torch.Tensor, size: int, k: float, alpha: float, beta: float) -> torch.Tensor:
    """Return normalization within maps, as a user would write it with torch's own operations."""
    total = torch.nn.functional.avg_pool2d(maps.square(), size, 1, size // 2, count_include_pad=True, divisor_override=1)
    return maps * (k + alpha * total).pow(-beta)


def measure(device: str) -> list[dict]:
    rows = []
    norm = ResponseNorm()
    theirs = torch.nn.LocalResponseNorm(norm.size, norm.alpha * norm.size, norm.beta, norm.k)
    within = ResponseNorm(k=1.0, alpha=1e-3, alpha_times="mean")
    over = within.size, within.k, within.alpha / within.size**2, within.beta
    cases = [
        ("cross-map", (32, 96, 55, 55), CrossMapNorm(norm), theirs, "nn.LocalResponseNorm"),
        ("within-map", (32, 256, 27, 27), WithinMapNorm(within), lambda x: by_averages(x, *over), "avg_pool2d and pow"),
    ]
    for what, shape, ours, baseline, called in cases:
        for layout in (torch.channels_last, torch.contiguous_format):
            for kind in (torch.float32, torch.bfloat16):
                x = torch.randn(shape, device=device).mul_(5).to(kind).to(memory_format=layout).requires_grad_()
                upstream = torch.randn_like(x)

                def through(function, x=x, upstream=upstream, kind=kind):
                    x.grad = None
                    needs_float = kind is torch.bfloat16 and not isinstance(function, CrossMapNorm | WithinMapNorm)
                    out = function(x.float()).to(kind) if needs_float else function(x)
                    out.backward(upstream)

                ways = {"ours": partial(through, ours), "torch": partial(through, baseline)}
                seconds = in_turn(ways, 5, device)
                layout_name = "channels_last" if layout is torch.channels_last else "contiguous"
                rows.append(
                    {
                        "what": f"{what} normalization, forward and backward, {'x'.join(map(str, shape))}",
                        "case": f"{str(kind).split('.')[-1]}, {layout_name}",
                        "ours_ms": 1000 * statistics.median(seconds["ours"]),
                        "baseline_ms": 1000 * statistics.median(seconds["torch"]),
                        "baseline": called,
                        **ratio(seconds["torch"], seconds["ours"]),
                        **({"goal": 2} if judged(device, what, layout) else {}),
                    }
                )
    return rows


def judged(device: str, what: str, layout: torch.memory_format) -> bool:
    """Whether goal 2 is about this case."""
    return device == "cpu" and what == "cross-map" and layout is torch.channels_last
