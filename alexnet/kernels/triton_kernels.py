"""The kernels that Triton compiles for a GPU: gpu.py says what each is for. Importable only if Triton is installed."""
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false
# (Triton's compiler gives this code a meaning that a type checker does not know.)

import triton
import triton.language as tl


@triton.jit
def _window_sum(values, column, SIZE: tl.constexpr, ROWS: tl.constexpr, WIDTH: tl.constexpr, WRAPS: tl.constexpr):
    """Return the sum over SIZE neighbours along each row of [ROWS, WIDTH] values. Values past the row's channels are zero.

    Neighbours wrap around the end of the row. If there are enough zeros (WRAPS), this needs no other mask."""
    HALF: tl.constexpr = SIZE // 2
    total = values
    for shift in tl.static_range(1, HALF + 1):
        for sign in tl.static_range(-1, 2, 2):
            there = column + sign * shift
            at = tl.broadcast_to((there & (WIDTH - 1))[None, :], (ROWS, WIDTH))
            near = tl.gather(values, at, 1)
            total += near if WRAPS else tl.where(((there >= 0) & (there < WIDTH))[None, :], near, 0.0)
    return total


@triton.jit
def cross_map(
    out,
    maps,
    upstream,
    rows,
    channels,
    k,
    alpha,
    beta,
    twice,
    SIZE: tl.constexpr,
    ROOTS: tl.constexpr,
    BACKWARD: tl.constexpr,
    RELU: tl.constexpr,
    ROWS: tl.constexpr,
    WIDTH: tl.constexpr,
    WRAPS: tl.constexpr,
):
    """Normalize ROWS of the `rows` rows of `channels` values, each padded to WIDTH, a power of two. Every scale is computed
    once, and neighbours are gathered from the tile. With ROOTS, beta is 0.75 and computed by roots, which are single
    instructions. With RELU, values below 0 count as 0 and have no gradient. Like torch's ReLU, it passes NaN on."""
    first = tl.program_id(0).to(tl.int64) * ROWS
    row, column = tl.arange(0, ROWS), tl.arange(0, WIDTH)
    inside = (row < rows - first)[:, None] & (column < channels)[None, :]
    at = first * channels + (row[:, None] * channels + column[None, :])
    x = tl.load(maps + at, mask=inside, other=0.0).to(tl.float32)
    if RELU:
        x = tl.maximum(x, 0.0, propagate_nan=tl.PropagateNan.ALL)
    scale = _window_sum(x * x, column, SIZE, ROWS, WIDTH, WRAPS) * alpha + k
    if ROOTS:
        root = tl.rsqrt(scale)
        power = root * tl.sqrt(root)
        inverse = root * root
    else:
        log = tl.log2(scale)
        power = tl.exp2(-beta * log)
        inverse = tl.exp2(-log)
    if BACKWARD:
        g = tl.load(upstream + at, mask=inside, other=0.0).to(tl.float32) * power
        if RELU:  # here, not on the result: that costs seven instructions a value and 15 registers more on an H100
            g = tl.where(x <= 0, 0.0, g)
        result = g - twice * x * _window_sum(g * x * inverse, column, SIZE, ROWS, WIDTH, WRAPS)
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
    """STEP 0: forward. STEP 1: write what each value passes on to its window into `out` (float32). STEP 2: the gradient, from
    these values as `inner`."""
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


@triton.jit(do_not_specialize=["key"])  # a key of 1 would become a constant, which has no type to convert
def hashed_draws(out, step, key, count, words, BLOCK: tl.constexpr):
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    x = (tl.load(step) * words + at // 4 + 1).to(tl.uint64) * 0x9E3779B97F4A7C15 + key.to(tl.uint64)
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB
    x = (x ^ (x >> 31)) >> (at % 4 * 16).to(tl.uint64)
    tl.store(out + at, x.to(tl.int16), mask=at < count)


@triton.jit
def update(parameter, velocity, gradient, copy, count, momentum, decay, rate, COPIES: tl.constexpr, BLOCK: tl.constexpr):
    """With COPIES, also write the new parameter into `copy`, in that tensor's type."""
    first = tl.program_id(0).to(tl.int64) * BLOCK
    at = first + tl.arange(0, BLOCK)
    inside = at < count
    w = tl.load(parameter + at, mask=inside)
    g = tl.load(gradient + at, mask=inside).to(tl.float32)
    v = tl.load(velocity + at, mask=inside) * momentum + decay * w + rate * g
    w += v
    tl.store(velocity + at, v, mask=inside)
    tl.store(parameter + at, w, mask=inside)
    if COPIES:
        tl.store(copy + at, w.to(copy.dtype.element_ty), mask=inside)


@triton.jit
def max_pool(
    out,
    positions,
    maps,
    pixels,
    channels,
    height,
    width,
    out_height,
    out_width,
    WINDOW: tl.constexpr,
    STRIDE: tl.constexpr,
    RELU: tl.constexpr,
    ROWS: tl.constexpr,
    WIDTH: tl.constexpr,
):
    """A row is a pixel of `out`, a column a channel. A position is down * WINDOW + across within the window, or 255 if the ReLU
    after it passes no gradient. As in torch, the first of equal maxima counts, and NaN is larger than all."""
    pixel = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    column = tl.program_id(1) * WIDTH + tl.arange(0, WIDTH)
    inside = (pixel < pixels)[:, None] & (column < channels)[None, :]
    image = pixel // (out_height * out_width)
    y = (pixel // out_width) % out_height * STRIDE
    x = pixel % out_width * STRIDE
    best = tl.full((ROWS, WIDTH), float("-inf"), tl.float32)
    where = tl.zeros((ROWS, WIDTH), tl.int32)
    for down in tl.static_range(WINDOW):
        for across in tl.static_range(WINDOW):
            there = (y + down < height) & (x + across < width)
            start = ((image * height + y + down) * width + x + across).to(tl.int64) * channels
            at = start[:, None] + column[None, :]
            value = tl.load(maps + at, mask=inside & there[:, None], other=float("-inf")).to(tl.float32)
            better = (value > best) | (value != value)
            best = tl.where(better, value, best)
            where = tl.where(better, down * WINDOW + across, where)
    if RELU:
        where = tl.where(best <= 0, 255, where)
        best = tl.where(best <= 0, 0.0, best)
    at = pixel.to(tl.int64)[:, None] * channels + column[None, :]
    tl.store(out + at, best.to(out.dtype.element_ty), mask=inside)
    tl.store(positions + at, where.to(tl.uint8), mask=inside)


@triton.jit
def max_unpool(
    out,
    positions,
    upstream,
    pixels,
    channels,
    height,
    width,
    out_height,
    out_width,
    WINDOW: tl.constexpr,
    STRIDE: tl.constexpr,
    REACH: tl.constexpr,
    ROWS: tl.constexpr,
    WIDTH: tl.constexpr,
):
    """The gradient of `max_pool`. A row is a pixel of its input. It sums the gradients of those windows over it, at most
    REACH^2, that found their maximum there."""
    pixel = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    column = tl.program_id(1) * WIDTH + tl.arange(0, WIDTH)
    inside = (pixel < pixels)[:, None] & (column < channels)[None, :]
    image = pixel // (height * width)
    y = (pixel // width) % height
    x = pixel % width
    total = tl.zeros((ROWS, WIDTH), tl.float32)
    for above in tl.static_range(REACH):
        for before in tl.static_range(REACH):
            row = y // STRIDE - above
            col = x // STRIDE - before
            down = y - row * STRIDE
            across = x - col * STRIDE
            there = (row >= 0) & (row < out_height) & (down < WINDOW) & (col >= 0) & (col < out_width) & (across < WINDOW)
            start = ((image * out_height + row) * out_width + col).to(tl.int64) * channels
            at = start[:, None] + column[None, :]
            seen = inside & there[:, None]
            where = tl.load(positions + at, mask=seen, other=255).to(tl.int32)
            g = tl.load(upstream + at, mask=seen, other=0.0).to(tl.float32)
            total += tl.where(where == (down * WINDOW + across)[:, None], g, 0.0)
    at = pixel.to(tl.int64)[:, None] * channels + column[None, :]
    tl.store(out + at, total.to(out.dtype.element_ty), mask=inside)
