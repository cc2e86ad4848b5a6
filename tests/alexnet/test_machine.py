"""alexnet/machine.py on simulated machines: other processors, other core counts, a GPU or none."""

import os
import platform
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from alexnet import card as card_module
from alexnet import machine as machine_module
from alexnet import system
from alexnet.card import Card
from alexnet.errors import Refused
from alexnet.machine import Machine, detect

pytestmark = pytest.mark.filterwarnings("error")
ROOT = Path(__file__).parents[2]


@pytest.fixture
def pretend(monkeypatch, tmp_path):
    """Called, it makes this machine another: its /proc/cpuinfo (None: it has none), cores, GPU (None: it has none), and
    the quota of its container, as the kernel writes it (None: it has none)."""

    def become(
        cpuinfo: str | None = "model name\t: Test CPU\nflags\t\t: fpu sse2\n",
        cores: int = 4,
        gpu: Card | None = None,
        quota: str | None = None,
    ):
        limit = tmp_path / "cpu.max"
        limit.unlink(missing_ok=True)
        if quota is not None:
            limit.write_text(f"{quota}\n")
        path = tmp_path / "cpuinfo"
        path.unlink(missing_ok=True)
        if cpuinfo is not None:
            path.write_text(cpuinfo)
        monkeypatch.setattr(system, "Path", lambda asked: {"/proc/cpuinfo": path, "/sys/fs/cgroup/cpu.max": limit}[asked])
        monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(cores)), raising=False)
        monkeypatch.setattr(system, "IS_MAC", False)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu is not None)
        monkeypatch.setattr(machine_module, "card", lambda: gpu)
        system._cpuinfo_lines.cache_clear()
        machine_module._say.cache_clear()

    yield become
    system._cpuinfo_lines.cache_clear()
    machine_module._say.cache_clear()


H100 = Card(name="Test GPU", capability=(9, 0))
T4 = Card(name="Tesla T4", capability=(7, 5))
P100 = Card(
    name="Tesla P100",
    capability=(6, 0),
    built_for=("sm_75", "sm_90"),
    fault="AcceleratorError: CUDA error: no kernel image is available for execution on the device",
)
BUSY = Card(name="Test GPU", capability=(9, 0), fault="AcceleratorError: CUDA error: all devices are busy or unavailable")


@pytest.mark.parametrize(("device", "nearest"), [("cuda:0", "cuda"), ("gpu", ""), ("CPU", ""), ("", ""), ("cpus", "cpu")])
def test_an_unknown_device_is_refused_naming_the_choices(pretend, device, nearest):
    pretend()
    with pytest.raises(Refused, match=r"^device: .* is not one of auto, cpu, cuda") as refusal:
        detect(device)
    assert repr(device) in str(refusal.value) and nearest in str(refusal.value)


@pytest.mark.parametrize("precision", ["fp16", "bf-16", "float32", ""])
def test_an_unknown_precision_is_refused_naming_the_choices(pretend, precision):
    pretend()
    with pytest.raises(Refused, match=r"^precision: .* is not one of auto, bf16, fp32") as refusal:
        detect("cpu", precision)
    assert repr(precision) in str(refusal.value)


@pytest.mark.parametrize("precision", ["auto", "fp32"])
def test_cuda_without_a_gpu_is_refused_naming_what_is_there(pretend, precision):
    pretend(gpu=None)
    with pytest.raises(Refused, match=r"device: 'cuda'.*auto, cpu"):
        detect("cuda", precision)


def test_a_negative_number_of_jobs_is_refused(pretend):
    pretend()
    with pytest.raises(Refused, match="jobs: -1"):
        detect("cpu", jobs=-1)


@pytest.mark.parametrize(
    ("flags", "precision"),
    [
        ("fpu sse2 avx2 f16c fma", "fp32"),
        ("fpu avx512f avx512bw avx512_vnni avx512_fp16", "fp32"),
        ("fpu avx512f avx512_bf16", "bf16"),
        ("fpu amx_bf16 amx_tile amx_int8", "bf16"),
        ("", "fp32"),
    ],
)
def test_auto_precision_follows_the_flags_of_the_processor(pretend, flags, precision):
    pretend(f"processor\t: 0\nmodel name\t: Test CPU\nflags\t\t: {flags}\nbugs\t\t: spectre_v1\n" * 2)
    assert detect("cpu").precision == precision


@pytest.mark.parametrize("asked", ["bf16", "fp32"])
@pytest.mark.parametrize("flags", ["fpu avx2", "fpu avx512_bf16"])
def test_an_asked_precision_is_given_whatever_the_flags(pretend, flags, asked):
    pretend(f"model name\t: Test CPU\nflags\t\t: {flags}\n")
    assert detect("cpu", asked).precision == asked


def test_a_machine_without_cpuinfo_has_a_name_and_trains_in_fp32(pretend):
    pretend(cpuinfo=None)
    machine = detect("cpu")
    assert machine.precision == "fp32"
    assert machine.name == f"{platform.processor() or platform.machine()} x 4"


@pytest.mark.parametrize(
    ("cores", "asked", "jobs", "threads"), [(4, 0, 4, 1), (4, 1, 1, 4), (4, 2, 2, 2), (4, 3, 3, 1), (1, 0, 1, 1), (2, 8, 8, 1)]
)
def test_the_cores_are_shared_by_the_jobs(pretend, cores, asked, jobs, threads):
    pretend(cores=cores)
    machine = detect("cpu", jobs=asked)
    assert (machine.jobs, machine.threads) == (jobs, threads)


@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_a_gpu_is_taken_for_one_run_at_a_time_in_bf16(pretend, device):
    pretend(gpu=H100)
    machine = detect(device)
    assert machine == Machine(device="cuda", name="Test GPU", precision="bf16", threads=4, jobs=1)


def test_the_processor_is_taken_beside_a_gpu_where_it_is_asked_for(pretend):
    pretend(gpu=H100)
    assert detect("cpu") == Machine(device="cpu", name="Test CPU x 4", precision="fp32", threads=1, jobs=4)


def test_a_gpu_without_convolutions_in_bf16_trains_in_fp32_and_one_line_says_so(pretend, capsys):
    pretend(gpu=T4)
    assert [detect().precision for _ in range(3)] == ["fp32"] * 3
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("in fp32: Tesla T4 (compute capability 7.5)")


@pytest.mark.parametrize("asked", ["fp32", "fp64"])
def test_what_such_a_gpu_computes_in_is_given_as_asked_and_nothing_is_said(pretend, capsys, asked):
    pretend(gpu=T4)
    assert detect("cuda", asked).precision == asked and not capsys.readouterr().err


def test_bf16_is_refused_on_a_gpu_without_convolutions_in_it(pretend):
    pretend(gpu=T4)
    with pytest.raises(Refused, match=r"^precision: Tesla T4 .*7\.5.*choices here: auto, fp32, fp64$"):
        detect("cuda", "bf16")


@pytest.mark.parametrize("capability", [(8, 0), (8, 6), (9, 0), (10, 0), (12, 0)])
def test_gpus_from_capability_8_on_train_in_bf16(pretend, capability):
    pretend(gpu=Card(name="Test GPU", capability=capability))
    assert detect().precision == "bf16"


def test_a_gpu_that_this_torch_has_no_kernels_for_is_refused_by_name_and_left_where_any_will_do(pretend, capsys):
    pretend(gpu=P100)
    with pytest.raises(
        Refused, match=r"^device: 'cuda' is Tesla P100 .*6\.0.* only for sm_75, sm_90; install .* or choose cpu$"
    ):
        detect("cuda")
    assert detect("auto").name == "Test CPU x 4"
    assert capsys.readouterr().err.startswith("on the CPU: Tesla P100")


@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_a_gpu_that_computes_nothing_just_now_is_refused_and_not_left_silently(pretend, device):
    pretend(gpu=BUSY)
    with pytest.raises(Refused, match=r"^device: 'cuda' is Test GPU .*devices are busy"):
        detect(device)


@pytest.mark.parametrize("fails", [None, RuntimeError("CUDA error: no kernel image is available\nCompile with TORCH_USE...")])
def test_the_card_is_known_by_a_kernel_that_was_launched(monkeypatch, fails):
    def ones(*shape, device):
        if fails:
            raise fails
        return torch.full(shape, 1.0)

    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Test GPU")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (7, 0))
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_75"])
    monkeypatch.setattr(torch, "ones", ones)
    found = card_module.card.__wrapped__()
    assert (found.name, found.capability, found.is_foreign) == ("Test GPU", (7, 0), bool(fails))
    assert found.fault == ("RuntimeError: CUDA error: no kernel image is available" if fails else "")


SUMS = """
import os, sys, torch
from alexnet.machine import Machine

cudnn, products = torch.backends.cudnn, torch.backends.cuda.matmul
READ = {
    "older": lambda: (cudnn.allow_tf32, products.allow_tf32),
    "newer": lambda: [part.fp32_precision for part in (cudnn, cudnn.conv, cudnn.rnn, products, torch.backends)],
    "products": torch.get_float32_matmul_precision,
    "partial sums": lambda: products.allow_bf16_reduced_precision_reduction,
    "cudnn": lambda: cudnn.deterministic,
}

def seen():
    contents = {}
    for name, read in READ.items():
        try:
            contents[name] = str(read())
        except RuntimeError:  # torch refuses to read what a caller has set by two names
            contents[name] = "unreadable"
    return contents

CALLERS = [
    "", "torch.set_float32_matmul_precision('high')", "cudnn.allow_tf32 = False", "cudnn.conv.fp32_precision = 'ieee'",
    "products.allow_tf32 = True", "torch.backends.fp32_precision = 'tf32'", "products.fp32_precision = 'tf32'",
]
for caller in CALLERS:
    if os.fork() == 0:
        exec(caller)
        before = seen()
        with Machine(device="cuda", name="test", precision="fp32", threads=1).torch_settings():
            during = [part.fp32_precision for part in (cudnn.conv, cudnn.rnn, products)]
            tf32, partial = (cudnn.allow_tf32, products.allow_tf32), products.allow_bf16_reduced_precision_reduction
        wrong = (during, tf32, partial) != (["ieee"] * 3, (False, False), False) or seen() != before
        print(caller, during, tf32, partial, before, seen(), file=sys.stderr) if wrong else None
        os._exit(wrong)
sys.exit(any([os.waitstatus_to_exitcode(os.wait()[1]) for _ in CALLERS]))
"""


@pytest.mark.slow
def test_sums_on_a_gpu_are_in_float32_and_whatever_the_caller_had_set_comes_back():
    completed = subprocess.run([sys.executable, "-c", SUMS], cwd=ROOT, capture_output=True, text=True)
    assert completed.returncode == 0, completed.stderr


CPU = Machine(device="cpu", name="test", precision="fp32", threads=1)


def test_products_on_a_cpu_are_of_float32_whatever_precision_the_caller_asked_for():
    oneDNN, before = torch.backends.mkldnn, torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        with CPU.torch_settings():
            assert [part.fp32_precision for part in (oneDNN.matmul, oneDNN.conv)] == ["ieee"] * 2
        assert oneDNN.matmul.fp32_precision == "bf16" and torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)


def test_a_second_thread_is_refused_while_one_trains_and_may_train_after_it():
    def enter():
        try:
            with CPU.torch_settings():
                events.append("trained")
        except Refused as refusal:
            events.append(str(refusal))

    events = []
    with CPU.torch_settings(), replace(CPU, threads=2).torch_settings():  # one thread may enter them twice
        other = threading.Thread(target=enter)
        other.start()
        other.join()
    other = threading.Thread(target=enter)
    other.start()
    other.join()
    assert events[0].startswith("machine: another thread of this process is training") and events[1:] == ["trained"]


@pytest.mark.parametrize("threads", [1, 2])
def test_settings_within_settings_are_those_of_the_inner_machine_and_then_the_outers_again(threads):
    before = torch.get_num_threads()
    with replace(CPU, threads=threads).torch_settings():
        with replace(CPU, threads=3 - threads).torch_settings():
            assert torch.get_num_threads() == 3 - threads
        assert torch.get_num_threads() == threads
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    ("field", "value", "choices"),
    [
        ("device", "gpu", "cpu, cuda; did you mean cuda"),
        ("device", "auto", "cpu, cuda"),
        ("precision", "fp16", "bf16, fp32, fp64"),
        ("precision", "auto", "bf16, fp32, fp64"),
        ("threads", 0, "at least 1"),
        ("threads", 1.0, "at least 1"),
        ("jobs", 0, "at least 1"),
        ("ranks", True, "at least 1"),
    ],
)
def test_a_machine_that_no_run_can_have_is_refused_naming_the_field(field, value, choices):
    with pytest.raises(Refused, match=rf"^machine\.{field}: {value!r}.*{choices}"):
        replace(CPU, **{field: value})


@pytest.mark.parametrize(
    ("quota", "cores"),
    [(None, 8), ("max 100000", 8), ("200000 100000", 2), ("150000 100000", 2), ("20000 100000", 1), ("1600000 100000", 8)],
)
def test_of_a_containers_cores_as_many_count_as_its_quota_pays_for(pretend, quota, cores):
    pretend(cores=8, quota=quota)
    machine = detect("cpu")
    assert (system.cores(), machine.jobs, machine.name) == (cores, cores, f"Test CPU x {cores}")


def test_auto_without_a_gpu_is_the_processor(pretend):
    pretend(gpu=None)
    assert detect().device == "cpu"


def test_the_label_tells_name_and_precision_and_not_how_many_jobs_shared_it():
    machine = Machine(device="cpu", name="Test CPU x 4", precision="fp32", threads=1, jobs=4)
    assert machine.label == "Test CPU x 4, fp32"
    assert machine.label == Machine(device="cpu", name="Test CPU x 4", precision="fp32", threads=4).label


def test_the_machine_at_hand_is_detected_and_torch_can_train_on_it():
    machine = detect()
    assert torch.ones(2, device=machine.device).sum() == 2
    assert 1 <= machine.threads <= os.cpu_count() and machine.name
