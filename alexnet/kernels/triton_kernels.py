"""What Triton compiles for a GPU: gpu.py says what each kernel is for. Importable only where Triton is."""
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false
# (Triton's compiler gives its own meaning to this code, which a type checker does not know.)

import triton
import triton.language as tl


@triton.jit
def _square(values, at, inside):
    x = tl.load(values + at, mask=inside, other=0.0).to(tl.float32)
    return x * x


@triton.jit
def cross_map(
    out,
    maps,
    upstream,
    count,
    channels,
    k,
    alpha,
    beta,
    twice,
    SIZE: tl.constexpr,
    BACKWARD: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Rows of `channels` values one after another. A value's own scale needs SIZE squares around it, its gradient the scales
    of all in its window: they are computed again for each, which costs less than keeping them."""
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = at < count
    channel = at % channels
    HALF: tl.constexpr = SIZE // 2
    total = tl.zeros((BLOCK,), tl.float32)
    for shift in tl.static_range(-HALF, HALF + 1):
        total += _square(maps, at + shift, inside & (channel + shift >= 0) & (channel + shift < channels))
    scale = total * alpha + k
    power = tl.exp2(-beta * tl.log2(scale))
    x = tl.load(maps + at, mask=inside, other=0.0).to(tl.float32)
    if BACKWARD:
        around = tl.zeros((BLOCK,), tl.float32)
        for near in tl.static_range(-HALF, HALF + 1):
            its = inside & (channel + near >= 0) & (channel + near < channels)
            sums = tl.zeros((BLOCK,), tl.float32)
            for shift in tl.static_range(-HALF, HALF + 1):
                there = channel + near + shift
                sums += _square(maps, at + near + shift, its & (there >= 0) & (there < channels))
            its_scale = sums * alpha + k
            product = tl.load(maps + at + near, mask=its, other=0.0).to(tl.float32)
            product *= tl.load(upstream + at + near, mask=its, other=0.0).to(tl.float32)
            around += product * tl.exp2((-beta - 1.0) * tl.log2(its_scale))
        g = tl.load(upstream + at, mask=inside, other=0.0).to(tl.float32)
        result = power * g - twice * x * around
    else:
        result = power * x
    tl.store(out + at, result.to(out.dtype.element_ty), mask=inside)


@triton.jit
def _within_map_sum(
    values, at, row, column, height, width, channels, inside, SIZE: tl.constexpr, SQUARED: tl.constexpr, BLOCK: tl.constexpr
):
    HALF: tl.constexpr = SIZE // 2
    total = tl.zeros((BLOCK,), tl.float32)
    for down in tl.static_range(-HALF, HALF + 1):
        for across in tl.static_range(-HALF, HALF + 1):
            there = inside & (row + down >= 0) & (row + down < height) & (column + across >= 0) & (column + across < width)
            value = tl.load(values + at + (down * width + across) * channels, mask=there, other=0.0).to(tl.float32)
            total += value * value if SQUARED else value
    return total


@triton.jit
def within_map(
    out,
    maps,
    upstream,
    inner,
    count,
    height,
    width,
    channels,
    k,
    alpha,
    beta,
    twice,
    SIZE: tl.constexpr,
    STEP: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """STEP 0: forward. 1: what each value passes on to its window, into `out` (float32). 2: the gradient, from those as
    `inner`."""
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = at < count
    column = at // channels % width
    row = at // (channels * width) % height
    scale = _within_map_sum(maps, at, row, column, height, width, channels, inside, SIZE, True, BLOCK) * alpha + k
    x = tl.load(maps + at, mask=inside, other=0.0).to(tl.float32)
    if STEP == 0:
        result = tl.exp2(-beta * tl.log2(scale)) * x
    else:
        g = tl.load(upstream + at, mask=inside, other=0.0).to(tl.float32)
        if STEP == 1:
            result = g * x * tl.exp2((-beta - 1.0) * tl.log2(scale))
        else:
            around = _within_map_sum(inner, at, row, column, height, width, channels, inside, SIZE, False, BLOCK)
            result = tl.exp2(-beta * tl.log2(scale)) * g - twice * x * around
    tl.store(out + at, result.to(out.dtype.element_ty), mask=inside)


@triton.jit(do_not_specialize=["key"])  # a key of 1 would be a constant, which has no type to turn into another
def hashed_draws(out, step, key, count, words, BLOCK: tl.constexpr):
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    x = (tl.load(step) * words + at // 4 + 1).to(tl.uint64) * 0x9E3779B97F4A7C15 + key.to(tl.uint64)
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB
    x = (x ^ (x >> 31)) >> (at % 4 * 16).to(tl.uint64)
    tl.store(out + at, x.to(tl.int16), mask=at < count)


@triton.jit
def update(parameter, velocity, gradient, count, momentum, decay, rate, BLOCK: tl.constexpr):
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = at < count
    w = tl.load(parameter + at, mask=inside)
    v = tl.load(velocity + at, mask=inside) * momentum + decay * w + rate * tl.load(gradient + at, mask=inside)
    tl.store(velocity + at, v, mask=inside)
    tl.store(parameter + at, w + v, mask=inside)
