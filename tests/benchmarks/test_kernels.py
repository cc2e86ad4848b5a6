"""benchmarks/kernels.py: what its page says of compiled kernels. Compiling itself is in test_counted.py."""

from alexnet.kernels.gpu import TILE
from benchmarks.kernels import CARDS, PAGE, Compiled, Kernel, Row, kernels, page

KERNEL = Kernel("pool", "max_pool", {}, {}, values=256)  # two values for each of the 128 threads


def row(kind: str, card: int, spilled: int = 0) -> Row:
    return Row(KERNEL, kind, card, Compiled(instructions=60, registers=40, spilled=spilled, shared=1024))


def test_a_cell_is_instructions_over_the_values_of_a_thread():
    told = page([row("fp32", 75), row("fp32", 90), row("bf16", 90)], "Here.")
    assert "| pool | 30 / 40 / 1024 | 30 / 40 / 1024 |" in told
    assert "No kernel spills." in told


def test_every_spill_is_named_before_the_tables():
    told = page([row("fp32", 75, spilled=32), row("fp32", 90)], "Here.")
    assert "pool, fp32: sm_75 32. No other" in told.split("##")[0] and "sm_90" not in told.split("##")[0]


def test_the_committed_page_has_every_kernel_for_every_card():
    text = PAGE.read_text()
    for kind in ("bf16", "fp32"):
        cards, *lines = text.split(f"## Values in {kind}")[1].split("##")[0].strip().splitlines()
        assert [f"sm_{card}" for card in CARDS if kind == "fp32" or card >= 80] == cards.replace("|", " ").split()[1:]
        names = [kernel.name for kernel in kernels(kind)]
        assert [line.split(" | ")[0] for line in lines[1:]] == [f"| {name}" for name in names]
        assert all(" - " not in line for line in lines[1:])


def test_values_that_pad_a_row_are_not_counted():
    """48 maps lie in rows of 64, so that a quarter of a tile is padding."""
    assert {kernel.values for kernel in kernels() if "48 maps" in kernel.name} == {TILE * 48 / 64}
