"""alexnet/kernels/cpu.py and cpu.c: the same bits as torch's operations, which are used where there is no compiler."""

import ctypes
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from alexnet.kernels import compiled, cpu
from alexnet.model.pooling import Pool
from alexnet.model.response_norm import CrossMapNorm, WithinMapNorm
from alexnet.recipe import ResponseNorm
from alexnet.training import optimizer

COMPILER = shutil.which("cc")
pytestmark = [
    pytest.mark.filterwarnings("error"),
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.skipif(not COMPILER, reason="no C compiler"),
]


def both_ways(module, maps, upstream):
    """Output and gradient by the C kernel, then by torch operations."""
    reported = []
    for kernels in (cpu.kernels, lambda: None):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(cpu, "kernels", kernels)
            x = maps.detach().requires_grad_()
            out = module(x)
            out.backward(upstream)
            reported.append((out.detach(), x.grad))
    return reported


@settings(max_examples=120, deadline=None, derandomize=True, database=None)
@given(
    n=st.integers(1, 3),
    maps=st.sampled_from([1, 2, 6, 13, 16, 24, 40, 900]),
    height=st.integers(1, 6),
    width=st.integers(1, 6),
    size=st.sampled_from([1, 3, 5, 9]),
    kind=st.sampled_from([torch.float32, torch.bfloat16]),
    way=st.sampled_from(["maps", "columns", "pixels"]),
    seed=st.integers(0, 2**31),
)
def test_the_kernel_gives_the_bits_of_torch_forward_and_backward(n, maps, height, width, size, kind, way, seed):
    norm = ResponseNorm(size=size, k=1.5, alpha=0.01)
    columns = 2 if way == "columns" and maps % 2 == 0 else 1
    module = WithinMapNorm(norm) if way == "pixels" else CrossMapNorm(norm, columns)
    rng = torch.Generator().manual_seed(seed)
    x, upstream = (
        (torch.randn(n, maps, height, width, generator=rng) * scale).to(kind).contiguous(memory_format=torch.channels_last)
        for scale in (20, 1)
    )
    (out, gradient), (expected_out, expected_gradient) = both_ways(module, x, upstream)
    assert torch.equal(out, expected_out)
    assert torch.equal(gradient, expected_gradient)


def bits(values):
    return values.contiguous().view(torch.int32 if values.dtype == torch.float32 else torch.int16)


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(
    n=st.integers(1, 3),
    maps=st.sampled_from([3, 16, 24, 32, 40, 96]),
    height=st.integers(3, 12),
    width=st.integers(3, 12),
    window=st.integers(1, 5),
    stride=st.integers(1, 4),
    kind=st.sampled_from(["max", "average"]),
    number=st.sampled_from([torch.float32, torch.bfloat16]),
    coarse=st.booleans(),
    scale=st.sampled_from([1.0, 2.0**-133]),
    seed=st.integers(0, 2**31),
)
def test_pools_give_the_bits_of_torch_forward_and_backward(
    n, maps, height, width, window, stride, kind, number, coarse, scale, seed
):
    """Coarse values: many maxima are equal, some are -0. The small scale lies below the normal range."""
    assume(window <= min(height, width))
    rng, pool = torch.Generator().manual_seed(seed), Pool(kind, window, stride)

    def drawn(*shape):
        values = torch.randn(shape, generator=rng)
        return ((values.round() if coarse else values) * scale).to(number).contiguous(memory_format=torch.channels_last)

    x = drawn(n, maps, height, width)
    upstream = drawn(*pool(x).shape)
    (out, gradient), (expected_out, expected_gradient) = both_ways(pool, x, upstream)
    assert out.shape == expected_out.shape and torch.equal(bits(out), bits(expected_out))
    assert torch.equal(bits(gradient), bits(expected_gradient))


@pytest.mark.parametrize(
    "module",
    [CrossMapNorm(ResponseNorm(), 2), WithinMapNorm(ResponseNorm()), Pool("max", 3, 1), Pool("average", 3, 1)],
    ids=["across", "within", "max", "average"],
)
def test_threads_change_no_bit(module, monkeypatch):
    x = torch.randn(7, 26, 9, 5).contiguous(memory_format=torch.channels_last)
    upstream = torch.randn_like(module(x))
    alone, _ = both_ways(module, x, upstream)
    monkeypatch.setattr(cpu, "VALUES_PER_THREAD", 1)
    torch.set_num_threads(3)
    shared, _ = both_ways(module, x, upstream)
    assert all(torch.equal(a, b) for a, b in zip(alone, shared, strict=True))


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(
    shape=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    layout=st.sampled_from([torch.contiguous_format, torch.channels_last]),
    decay=st.sampled_from([0.0, 5e-4]),
    rate=st.sampled_from([0.01, 1e-5]),
    seed=st.integers(0, 2**31),
)
def test_the_2012_update_gives_the_bits_of_torch(shape, layout, decay, rate, seed):
    ends = []
    for way in (cpu.kernels, lambda: None):
        rng = torch.Generator().manual_seed(seed)
        start, *gradients = (torch.randn(shape, generator=rng) for _ in range(4))
        if layout is torch.channels_last and len(shape) == 4:
            start = start.to(memory_format=layout)
        weights = torch.nn.Parameter(start)
        update = optimizer.PaperSGD([weights], rate, momentum=0.9, weight_decay=decay)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(cpu, "kernels", way)
            for gradient in gradients:
                weights.grad = gradient.contiguous(memory_format=layout) if weights.dim() == 4 else gradient
                update.step()
        ends.append((weights.detach(), update.state[weights]["velocity"]))
    assert all(torch.equal(a, b) for a, b in zip(*ends, strict=True))


@pytest.mark.parametrize("exponent", [-60, -59, 1, 2, 126, 127])
def test_the_power_of_every_fraction_is_torchs(exponent):
    """All 2^23 numbers of an exponent: roots depend beside the fraction only on whether the exponent is even."""
    scales = (torch.arange(2**23, dtype=torch.int32) + ((exponent + 127) << 23)).view(torch.float32)
    powers = torch.empty_like(scales)
    cpu.kernels().powers(powers.data_ptr(), scales.data_ptr(), len(scales), 2.0**-60)
    root = scales.rsqrt()
    assert torch.equal(powers, root.rsqrt() * root * root)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_no_number_stays_within_its_window(bad):
    x = torch.randn(1, 24, 2, 2).contiguous(memory_format=torch.channels_last)
    x[0, 12, 1, 1] = bad
    (out, _), (expected, _) = both_ways(CrossMapNorm(ResponseNorm(), 2), x, torch.ones_like(x))
    assert torch.equal(out.isfinite(), expected.isfinite()) and out.isfinite().sum() >= out.numel() - 3
    assert out[0, :12].isfinite().all()  # the other column


@pytest.fixture
def fresh(monkeypatch, tmp_path):
    """No library built or loaded yet; an empty cache folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("ALEXNET_COMPILED", raising=False)
    cpu.kernels.cache_clear()
    yield tmp_path
    cpu.kernels.cache_clear()


def wrapper(folder: Path, body: str) -> str:
    path = folder / "wrapped-cc"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.slow
def test_it_is_compiled_once_and_said_once(fresh, monkeypatch, capfd):
    log = fresh / "log"
    monkeypatch.setenv(
        "CC", wrapper(fresh, f'case "$*" in *--version*) ;; *) echo built >> {log};; esac\nexec {COMPILER} "$@"')
    )
    assert cpu.kernels() is not None
    cpu.kernels.cache_clear()
    assert cpu.kernels() is not None
    assert log.read_text() == "built\n"
    assert capfd.readouterr().err.count("compiling the CPU kernels") == 1
    (kept,) = (fresh / "cache" / "alexnet-study").iterdir()
    assert hashlib.sha256(kept.read_bytes()).hexdigest().startswith(kept.stem.rpartition("-")[2])
    assert kept.parent.stat().st_mode & 0o777 == 0o700


@pytest.fixture
def built(tmp_path) -> Path:
    """A cache folder with the library of this machine's own cache in it."""
    assert cpu.kernels() is not None
    name = f"kernels-{compiled._made_from(cpu.SOURCE, cpu.FLAGS, [COMPILER])}"
    (path,) = compiled.own_folder().glob(f"{name}-*.so")
    folder = tmp_path / "built"
    folder.mkdir()
    shutil.copy(path, folder)
    return folder


def test_a_compiler_with_arguments_is_run_with_them(kept, monkeypatch):
    path, _ = kept
    given = []
    build = subprocess.run
    monkeypatch.setattr(subprocess, "run", lambda command, **how: given.append(command) or build(command[2:], **how))
    monkeypatch.setenv("CC", f"'{wrapper(path.parents[2], 'exit 1')}' 'an argument' {COMPILER}")
    assert cpu.kernels() is not None
    assert given and all(command[1:3] == ["an argument", COMPILER] for command in given)


def test_other_arguments_of_a_compiler_make_another_library(kept, monkeypatch):
    _, builds = kept
    for count, argument in enumerate(("-DONE", "-DTWO", "-DONE"), 1):
        monkeypatch.setenv("CC", f"{COMPILER} {argument}")
        cpu.kernels.cache_clear()
        assert cpu.kernels() is not None and builds.count == min(count, 2)


def test_a_compiler_that_no_shell_would_run_is_said_in_one_line(fresh, monkeypatch, capfd):
    monkeypatch.setenv("CC", "'gcc")
    assert cpu.kernels() is None
    (said,) = capfd.readouterr().err.splitlines()
    assert 'CC: "\'gcc" is not a shell command (No closing quotation)' in said


DAMAGES = {
    "no bytes": lambda content: b"",
    "half of it": lambda content: content[: len(content) // 2],
    "one flipped bit of its code": lambda content: content[:9000] + bytes([content[9000] ^ 4]) + content[9001:],
    "one flipped bit of its header": lambda content: bytes([content[0] ^ 1]) + content[1:],
    "zeros": lambda content: bytes(len(content)),
    "another library": lambda content: content + b"more",
}


class Builds:
    """Stands for the compiler, and lays a sound library where it is told to."""

    def __init__(self, library: Path):
        self.library, self.count = library, 0

    def __call__(self, command, **how):
        if "--version" in command:
            return RUN(command, **how)
        self.count += 1
        shutil.copy(self.library, command[command.index("-o") + 1])
        return subprocess.CompletedProcess(command, 0)


RUN = subprocess.run


@pytest.fixture
def kept(built, fresh, monkeypatch):  # built first, from the machine's own cache
    """The file of a cache that holds the library, and the builds that were made since, each of which takes no time."""
    (source,) = built.iterdir()
    folder = Path(shutil.copytree(built, fresh / "cache" / "alexnet-study"))
    builds = Builds(source)
    monkeypatch.setattr(subprocess, "run", builds)
    return folder / source.name, builds


def normalizes() -> bool:
    x = (torch.randn(2, 24, 3, 3, generator=torch.Generator().manual_seed(0)) * 20).contiguous(
        memory_format=torch.channels_last
    )
    (out, gradient), (expected_out, expected_gradient) = both_ways(CrossMapNorm(ResponseNorm(alpha=0.1)), x, torch.ones_like(x))
    return torch.equal(out, expected_out) and torch.equal(gradient, expected_gradient)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_kept_library_that_is_damaged_is_built_anew_with_a_word(kept, damage, capfd):
    path, builds = kept
    sound = path.read_bytes()
    path.write_bytes(DAMAGES[damage](sound))
    assert cpu.kernels() is not None and normalizes() and builds.count == 1
    assert f"{path} has changed since it was written; the CPU kernels are compiled again" in capfd.readouterr().err
    assert path.read_bytes() == sound
    cpu.kernels.cache_clear()
    assert cpu.kernels() is not None and builds.count == 1 and capfd.readouterr().err == ""


@pytest.mark.parametrize(("change", "said"), [("digest", "computes other numbers than torch"), ("text", "cannot be loaded")])
def test_a_kept_library_with_its_right_digest_that_does_not_work_is_built_anew(kept, change, said, capfd):
    """What a compiler or a linker did wrong: the digest is of wrong bytes. Another library of the machine stands for it."""
    path, builds = kept
    wrong = Path(np.linalg._umath_linalg.__file__).read_bytes() if change == "digest" else b"no library"
    path.rename(other := path.with_name(f"{path.stem.rpartition('-')[0]}-{hashlib.sha256(wrong).hexdigest()[:16]}.so"))
    other.write_bytes(wrong)
    assert cpu.kernels() is not None and normalizes() and builds.count == 1
    assert said in capfd.readouterr().err
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_library_that_computes_other_numbers_even_when_built_anew_is_not_used(kept, monkeypatch, capfd):
    path, builds = kept
    monkeypatch.setattr(cpu, "_normalizes", lambda library: False)
    assert cpu.kernels() is None and builds.count == 1
    printed = capfd.readouterr().err.splitlines()
    assert printed[-1].endswith("cpu.c compiled by it computes other numbers than torch; set CC to another compiler")
    assert list(path.parent.iterdir()) == []


def test_the_check_of_a_loaded_library_sees_a_kernel_that_is_a_little_off(built, monkeypatch):
    """alpha passed on 1% too large, as a compiler that got one number wrong would have it."""
    (path,) = built.iterdir()
    library = ctypes.CDLL(str(path))
    assert cpu._typed_and_right(library)
    right = library.cross_map

    class Off:
        def cross_map(self, *arguments):
            return right(*arguments[:7], arguments[7] * 1.01, *arguments[8:])

    assert not cpu._normalizes(Off())


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o777])
def test_the_cache_folder_becomes_private_to_its_owner(kept, mode):
    path, _ = kept
    path.parent.chmod(mode)
    assert cpu.kernels() is not None
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_cache_folder_of_another_user_is_not_run_from(kept, monkeypatch, capfd):
    path, builds = kept
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert cpu.kernels() is None and builds.count == 0
    assert f"{path.parent}: belongs to another user" in capfd.readouterr().err


def test_a_user_without_a_home_is_told_what_to_set(fresh, monkeypatch, capfd):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("Could not determine home directory.")))
    assert cpu.kernels() is None
    assert "XDG_CACHE_HOME: is not set, and this user has no home" in capfd.readouterr().err


@pytest.mark.parametrize("setting", [("ALEXNET_COMPILED", "0"), ("CC", "no-such-compiler")])
def test_without_it_nothing_is_compiled_and_nothing_said(fresh, monkeypatch, capfd, setting):
    monkeypatch.setenv(*setting)
    assert cpu.kernels() is None
    assert capfd.readouterr().err == "" and not (fresh / "cache").exists()


def test_a_compiler_that_fails_is_said_in_one_line_and_torch_does_it(fresh, monkeypatch, capfd):
    monkeypatch.setenv("CC", wrapper(fresh, f'case "$*" in *--version*) exec {COMPILER} "$@";; *) exit 1;; esac'))
    assert cpu.kernels() is None
    said = capfd.readouterr().err.strip().splitlines()
    assert said[-1].startswith("the CPU kernels are not compiled, torch operations replace them: CalledProcessError")
    assert list((fresh / "cache" / "alexnet-study").iterdir()) == []


@pytest.mark.parametrize("maps", [2, 96, 900, 40_000])
@pytest.mark.parametrize("size", [9, 6001, 1_000_001])
def test_a_window_of_any_size_over_any_number_of_maps_gives_what_the_formula_gives(maps, size):
    """No array on the stack is as large as the data: 6001 over 96 maps once ended the process."""
    size = min(size, 2 * 2001 - 1) if maps > 900 else size  # the formula takes a term for each of a window
    x = torch.randn(1, maps, 1, 2, generator=torch.Generator().manual_seed(0)).contiguous(memory_format=torch.channels_last)
    out = CrossMapNorm(ResponseNorm(size=size, k=1.5, alpha=0.01))(x)
    sums = x.double().square().cumsum(1)
    low, high = ([min(max(i + far, 0), maps - 1) for i in range(maps)] for far in (-(size // 2) - 1, size // 2))
    below = sums[:, low] * torch.tensor([i - size // 2 > 0 for i in range(maps)])[:, None, None]
    expected = x * (1.5 + 0.01 * (sums[:, high] - below)).pow(-0.75)
    torch.testing.assert_close(out.double(), expected.double(), rtol=1e-4, atol=1e-6)


def test_no_array_of_the_kernels_has_a_size_that_only_the_data_tell():
    command = [COMPILER, *cpu.FLAGS, "-Wvla", "-Werror=vla", "-fsyntax-only", str(cpu.SOURCE)]
    assert subprocess.run(command, capture_output=True).returncode == 0
