"""Response normalization, section 3.3: b = a / (k + alpha * t)^beta, where t sums the squares of a's neighbours.

This is our own operation because torch's is slow, has no bf16 on a CPU, and is not deterministic in its backward on CUDA. Here
every number is computed by element-wise operations in one fixed order. So threads, blocks and memory format do not change a bit
(with beta 0.75, 0.5 or 1; torch rounds other powers differently at the end of a block, by 2e-7).

How: a C kernel (kernels/cpu.py) normalizes channels_last maps on a CPU with a compiler, and a Triton kernel on a GPU
(kernels/gpu.py: equal within a tolerance, not bit for bit). All other maps are normalized by torch operations, which on a CPU
keep the C kernel's order and so give the same bits. They write the squares into a buffer with a margin of zeros around each map
(or column, or image). The sum over a window is then a few additions of one flat array to itself, shifted. They work in blocks
that stay in the cache. Backward keeps only the input and computes the rest again, which costs less than reading it back.

Tools that trace single operations, such as torch.compile, torch.export and torch.func, see plain torch operations
(`by_formula`), which on a CPU give the same bits.

The ReLU before a normalization across maps is part of the operation: the GPU's kernel computes it in the same pass. This saves
a twentieth of the memory traffic of a step of SOURCE_2012, and a ninth for PAPER. Elsewhere it is torch's own ReLU."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexnet.kernels import cpu, gpu
from alexnet.kernels.supported import is_followed, supported
from alexnet.recipe import ResponseNorm

BLOCK_VALUES = 200_000  # of the padded buffer at a time: 0.8 MB in float32, fastest of 100,000 to 1,600,000 (NOTES.md)


class CrossMapNorm(nn.Module):
    """Normalization across maps: t at map i sums over maps i - size//2 to i + size//2 at the same pixel, within each of
    `columns` equal parts. With `relu`, it normalizes the ReLU of its input.

    Takes and returns [n, maps, height, width], in any memory format (kept) and floating type (bf16 is computed in float32).
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
    """Normalization within a map: t at a pixel sums over the size x size pixels around it, cut off at the edge.

    Takes and returns [n, maps, height, width]. Source: cuda-convnet `rnorm` (k 1, alpha_times "mean" over size^2 pixels).
    """

    def __init__(self, norm: ResponseNorm):
        super().__init__()
        self.norm = norm
        self.alpha = norm.alpha / (norm.size**2 if norm.alpha_times == "mean" else 1)

    def forward(self, maps: Tensor) -> Tensor:
        return normalize(maps, ("pixels", 1), self.norm.size, self.norm.k, self.alpha, self.norm.beta)

    def extra_repr(self) -> str:
        return str(self.norm)


@torch.fx.wrap  # one node in a graph of torch.fx, as torchvision does for features
def normalize(
    maps: Tensor, over: tuple[str, int], size: int, k: float, alpha: float, beta: float, relu: bool = False
) -> Tensor:
    """Return maps / (k + alpha * t)^beta, where t sums squares over windows of `size`.

    `maps` are [n, maps, height, width]; with `relu`, their ReLU is normalized. `over` is ("maps", columns) for windows over the
    maps of each column, or ("pixels", 1).
    """
    if is_followed(maps):
        return by_formula(F.relu(maps) if relu else maps, over, size, k, alpha, beta)
    if relu and not _takes_relu(maps, over):
        maps, relu = F.relu(maps), False
    return _Normalize.apply(maps, over, size, k, alpha, beta, relu)


def _takes_relu(maps: Tensor, over: tuple[str, int]) -> bool:
    """Whether there is a kernel for these maps that computes their ReLU too."""
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
        if torch.is_grad_enabled():  # for second derivatives: the formula in operations that torch can differentiate
            # A separate view, so that each of the two ways by which `maps` enters the second derivative counts once.
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
    """Return the normalized maps, for maps that are dense in memory."""
    out = torch.empty_like(maps)
    if _by_kernel(out, maps, None, over, size, k, alpha, beta):
        return out
    window = _Window(maps, over, size)
    for x, y in window.blocks(maps, out):
        _, power = window.power(x, k, alpha, beta)
        y.copy_(power.mul_(x))
    return out


def _gradient(maps: Tensor, upstream: Tensor, over: tuple[str, int], size: int, k: float, alpha: float, beta: float) -> Tensor:
    """Return the gradient of `maps`, which are dense in memory, from `upstream`, the gradient of `_normalized`'s output."""
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
    """Compute forward, or backward of `upstream`, into `out` by a kernel. Return False if there is none for these maps."""
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
    """Sums over windows, for tensors of one shape and memory format.

    `body` is the shape in which a block is viewed, and `padded` the same with margins of size // 2. The sum over a window along
    one dimension is the sum of `size` copies of the flat padded array, each shifted by that dimension's `step`.
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
        """Yield a block of rows [rows, *body] of each tensor at a time. They are views, so that they can be written to."""
        seen = [(t.permute(0, 2, 3, 1) if self.channels_last else t).reshape(self.outer, *self.body) for t in tensors]
        yield from zip(*(t.split(self.rows) for t in seen), strict=True)

    def total(self, values: Tensor) -> Tensor:
        """Return the sum over each value's window, for a block [rows, *body]. The next call overwrites it."""
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
        """Return scale = k + alpha * t and scale^-beta of a block."""
        x = x.to(self.margins.dtype)
        scale = self.total(x * x).mul(alpha).add_(k)
        if beta == 0.75:  # two roots are many times faster than a power; no sqrt: MKL does not round it correctly
            root = scale.rsqrt()
            return scale, root.rsqrt().mul_(root).mul_(root)
        return scale, scale.pow(-beta)


def by_formula(maps: Tensor, over: tuple[str, int], size: int, k: float, alpha: float, beta: float) -> Tensor:
    """The same in plain operations: slow, but they can be exported and differentiated any number of times.

    On a CPU, where each operation is rounded by itself, it gives the same bits."""
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
