"""Response normalization, section 3.3: b = a / (k + alpha * t)^beta, where t sums the squares of a's neighbours.

Our own operation because torch's is slow, has no bf16 on CPU, and its backward on CUDA is not deterministic. Here every
number is made by element-wise operations in one fixed order, so that neither threads nor blocks nor memory format change a bit
(with beta 0.75, 0.5 or 1; torch rounds other powers differently at the end of a block, by 2e-7).

How: maps in channels_last memory are normalized on a CPU by a C kernel (kernels/cpu.py) where there is a compiler, and on a GPU
by a Triton kernel (kernels/gpu.py: to a tolerance, not in the same bits). All others are by torch operations, on a CPU in the
same order and so in the same bits. There squares are written into a buffer with a margin of zeros around each map (or column,
or image), so that the sum over a window is a few additions of one flat array to itself, shifted. Blocks of it stay in the
cache. Backward keeps only the input and computes the rest again, which costs less than reading it back.

Whatever follows single operations, as torch.compile, torch.export and torch.func do, sees torch's own (`by_formula`), on a CPU
in the same bits.

The ReLU before a normalization across maps is part of it: the GPU's kernel makes it on its way, which saves a step of
SOURCE_2012 a twentieth of all that it reads and writes, one of PAPER a ninth. Elsewhere it is torch's own."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexnet.kernels import cpu, gpu
from alexnet.kernels.supported import is_followed, supported
from alexnet.recipe import ResponseNorm

BLOCK_VALUES = 200_000  # of the padded buffer at a time: 0.8 MB in float32, best of 100,000 to 1,600,000 (NOTES.md)


class CrossMapNorm(nn.Module):
    """t at map i sums over maps i - size//2 to i + size//2 at the same pixel, within each of `columns` equal parts. With `relu`
    of the ReLU of what it is given.

    Takes and gives [n, maps, height, width], in any memory format (kept) and floating type (bf16 is computed in float32).
    Source: paper, section 3.3; cuda-convnet `cmrnorm` (alpha_times "mean", columns 2).
    """

    def __init__(self, norm: ResponseNorm, columns: int = 1, relu: bool = False):
        super().__init__()
        self.norm, self.columns, self.relu = norm, columns, relu
        self.alpha = norm.alpha / (norm.size if norm.alpha_times == "mean" else 1)

    def forward(self, maps: Tensor) -> Tensor:
        return normalize(maps, ("maps", self.columns), self.norm.size, self.norm.k, self.alpha, self.norm.beta, self.relu)

    def extra_repr(self) -> str:
        return f"{self.norm}, columns={self.columns}{', relu' if self.relu else ''}"


class WithinMapNorm(nn.Module):
    """t at a pixel sums over the size x size pixels around it in the same map, cut off at the edge.

    Takes and gives [n, maps, height, width]. Source: cuda-convnet `rnorm` (k 1, alpha_times "mean" over size^2 pixels).
    """

    def __init__(self, norm: ResponseNorm):
        super().__init__()
        self.norm = norm
        self.alpha = norm.alpha / (norm.size**2 if norm.alpha_times == "mean" else 1)

    def forward(self, maps: Tensor) -> Tensor:
        return normalize(maps, ("pixels", 1), self.norm.size, self.norm.k, self.alpha, self.norm.beta)

    def extra_repr(self) -> str:
        return str(self.norm)


@torch.fx.wrap  # one node of a graph that torch.fx makes, as torchvision does for features
def normalize(
    maps: Tensor, over: tuple[str, int], size: int, k: float, alpha: float, beta: float, relu: bool = False
) -> Tensor:
    """maps / (k + alpha * t)^beta, where t sums squares over windows of `size`: over maps, in so many columns, or over pixels.

    `maps` are [n, maps, height, width], with `relu` the ReLU of these; `over` is ("maps", columns) or ("pixels", 1).
    """
    if is_followed(maps):
        return by_formula(F.relu(maps) if relu else maps, over, size, k, alpha, beta)
    if relu and not _takes_relu(maps, over):
        maps, relu = F.relu(maps), False
    return _Normalize.apply(maps, over, size, k, alpha, beta, relu)


def _takes_relu(maps: Tensor, over: tuple[str, int]) -> bool:
    """Whether there is a kernel for these maps that makes their ReLU too."""
    return over[0] == "maps" and maps.is_cuda and maps.is_contiguous(memory_format=torch.channels_last) and supported(maps)


class _Normalize(torch.autograd.Function):
    @staticmethod
    def forward(ctx, maps: Tensor, over: tuple[str, int], size: int, k: float, alpha: float, beta: float, relu: bool) -> Tensor:
        maps = maps if _dense(maps) else maps.contiguous()
        ctx.save_for_backward(maps)
        ctx.settings, ctx.relu = (over, size, k, alpha, beta), relu
        if not relu:
            return _normalized(maps, over, size, k, alpha, beta)
        out = torch.empty_like(maps)
        gpu.cross_map(out, maps, None, over[1], size, k, alpha, beta, relu=True)
        return out

    @staticmethod
    def backward(ctx, *upstreams: Tensor):
        (upstream,) = upstreams
        (maps,) = ctx.saved_tensors
        if torch.is_grad_enabled():  # someone differentiates twice: the formula in operations that torch can differentiate
            # A view of its own, so that both ways by which `maps` enters the second derivative are counted once.
            own = maps.view_as(maps)
            out = by_formula(F.relu(own) if ctx.relu else own, *ctx.settings)
            (gradient,) = torch.autograd.grad(out, own, upstream, create_graph=True)
        elif ctx.relu:
            (_, columns), *settings = ctx.settings
            gradient = torch.empty_like(maps)
            upstream = upstream.contiguous(memory_format=torch.channels_last)
            gpu.cross_map(gradient, maps, upstream, columns, *settings, relu=True)
        else:
            gradient = _gradient(maps, upstream, *ctx.settings)
        return gradient, *[None] * 6


def _normalized(maps: Tensor, over: tuple[str, int], size: int, k: float, alpha: float, beta: float) -> Tensor:
    """Of maps that lie densely."""
    out = torch.empty_like(maps)
    if _by_kernel(out, maps, None, over, size, k, alpha, beta):
        return out
    window = _Window(maps, over, size)
    for x, y in window.blocks(maps, out):
        _, power = window.power(x, k, alpha, beta)
        y.copy_(power.mul_(x))
    return out


def _gradient(maps: Tensor, upstream: Tensor, over: tuple[str, int], size: int, k: float, alpha: float, beta: float) -> Tensor:
    """Of `maps`, which lie densely, from that of what `_normalized` gives."""
    upstream = upstream.contiguous(memory_format=_format(maps))
    out = torch.empty_like(maps)
    if upstream.dtype == maps.dtype and _by_kernel(out, maps, upstream, over, size, k, alpha, beta):
        return out
    window = _Window(maps, over, size)
    for x, g, gx in window.blocks(maps, upstream, out):
        scale, power = window.power(x, k, alpha, beta)
        g = power.mul_(g)
        inner = torch.mul(g, x).div_(scale)
        around = window.total(inner)
        gx.copy_(g.sub_(around.mul_(x), alpha=2 * alpha * beta))
    return out


def _by_kernel(
    out: Tensor, maps: Tensor, upstream: Tensor | None, over: tuple[str, int], size: int, k: float, alpha: float, beta: float
) -> bool:
    """Forward, or backward of `upstream`, into `out` by a kernel; False where there is none for these maps."""
    if not (maps.is_contiguous(memory_format=torch.channels_last) and supported(maps)):
        return False
    if not maps.is_cuda and beta != 0.75:
        return False
    kernels = gpu if maps.is_cuda else cpu
    what, columns = over
    if what == "maps":
        kernels.cross_map(out, maps, upstream, columns, size, k, alpha, beta)
    else:
        kernels.within_map(out, maps, upstream, size, k, alpha, beta)
    return True


class _Window:
    """Sums over windows of one tensor's shape and memory format.

    `body` is how a block is seen; `padded` the same with margins of size // 2; the sum over a window along one dimension
    is the flat padded array added to itself `size` times, shifted by that dimension's `step`.
    """

    def __init__(self, maps: Tensor, over: tuple[str, int], size: int):
        what, columns = over
        n, count, height, width = maps.shape
        self.size, margin = size, size // 2
        channels_last = _format(maps) is torch.channels_last
        if what == "maps":
            inner = 1 if channels_last else height * width
            lengths, inside = [columns, count // columns, inner], [1]
            self.outer = n * height * width if channels_last else n
        else:
            lengths, inside = ([height, width, count], [0, 1]) if channels_last else ([count, height, width], [1, 2])
            self.outer = n
        self.body = tuple(lengths)
        self.padded = tuple(length + (2 * margin if d in inside else 0) for d, length in enumerate(lengths))
        self.steps = [math.prod(self.padded[d + 1 :]) for d in inside]
        self.middle = tuple(slice(margin, margin + length) if d in inside else slice(None) for d, length in enumerate(lengths))
        self.start = tuple(slice(0, length) if d in inside else slice(None) for d, length in enumerate(lengths))
        values = math.prod(self.padded)
        limit = BLOCK_VALUES if maps.device.type == "cpu" else self.outer * values
        self.rows = min(self.outer, max(1, limit // values))
        kind = torch.float64 if maps.dtype == torch.float64 else torch.float32
        self.margins = torch.zeros(self.rows * values, dtype=kind, device=maps.device)
        self.sums = [torch.empty_like(self.margins) for _ in self.steps]
        self.last = self.sums[-1].view(self.rows, *self.padded)[(slice(None), *self.start)]
        self.channels_last = channels_last

    def blocks(self, *tensors: Tensor):
        """The tensors, a block of rows [rows, *body] of each at a time; views, so that they can be written to."""
        seen = [(t.permute(0, 2, 3, 1) if self.channels_last else t).reshape(self.outer, *self.body) for t in tensors]
        yield from zip(*(t.split(self.rows) for t in seen), strict=True)

    def total(self, values: Tensor) -> Tensor:
        """Sum over each value's window, for a block [rows, *body]. Overwritten by the next call."""
        rows = len(values)
        self.margins.view(self.rows, *self.padded)[(slice(0, rows), *self.middle)] = values
        flat = self.margins[: rows * math.prod(self.padded)]
        for step, sums in zip(self.steps, self.sums, strict=True):
            length = len(flat) - (self.size - 1) * step
            out = sums[:length]
            if self.size == 1:
                out.copy_(flat)
            else:
                torch.add(flat[:length], flat[step : step + length], out=out)
            for shift in range(2, self.size):
                out.add_(flat[shift * step : shift * step + length])
            flat = out
        return self.last[:rows]

    def power(self, x: Tensor, k: float, alpha: float, beta: float) -> tuple[Tensor, Tensor]:
        """scale = k + alpha * t and scale^-beta of a block."""
        x = x.to(self.margins.dtype)
        scale = self.total(x * x).mul(alpha).add_(k)
        if beta == 0.75:  # two roots are many times faster than a power; not sqrt, which MKL does not round correctly
            root = scale.rsqrt()
            return scale, root.rsqrt().mul_(root).mul_(root)
        return scale, scale.pow(-beta)


def by_formula(maps: Tensor, over: tuple[str, int], size: int, k: float, alpha: float, beta: float) -> Tensor:
    """The same, in plain operations, which can be differentiated as often as wanted and exported; slow. On a CPU, where each of
    them is rounded by itself, in the same bits."""
    what, columns = over
    x, margin = maps.to(torch.promote_types(maps.dtype, torch.float32)), size // 2
    total = x * x
    if what == "maps":
        parts = nn.functional.pad(total.unflatten(1, (columns, -1)), (0, 0, 0, 0, margin, margin))
        total = _sliding_sum(parts, 2, size).flatten(1, 2)
    else:
        total = _sliding_sum(_sliding_sum(nn.functional.pad(total, (margin,) * 4), 2, size), 3, size)
    scale = total * alpha + k
    if beta == 0.75:
        root = scale.rsqrt()
        power = root.rsqrt() * root * root
    else:
        power = scale.pow(-beta)
    return (power * x).to(maps.dtype)


def _sliding_sum(padded: Tensor, dim: int, size: int) -> Tensor:
    count = padded.shape[dim] - size + 1
    total = padded.narrow(dim, 0, count)
    for shift in range(1, size):
        total = total + padded.narrow(dim, shift, count)
    return total


def _format(maps: Tensor) -> torch.memory_format:
    return torch.contiguous_format if maps.is_contiguous() else torch.channels_last


def _dense(maps: Tensor) -> bool:
    return maps.is_contiguous() or maps.is_contiguous(memory_format=torch.channels_last)
