"""alexnet/system.py: what macOS says, here by pretended programs. What Linux says of its processor is in test_machine.py."""

import os
import platform
import subprocess
import time
from collections.abc import Iterator

import pretend_mac
import pytest

from alexnet import machine, system

here_and_on_a_mac = pytest.mark.parametrize("on", ["here", "a mac"])


@pytest.fixture
def mac(monkeypatch, tmp_path):
    """This process asks macOS's programs, which stand in the returned folder, and lacks what only Linux has."""
    if system.IS_MAC:
        pytest.skip("a real Mac is not pretended")
    monkeypatch.setattr(system, "IS_MAC", True)
    monkeypatch.setattr(system, "_cpuinfo_lines", lambda: [])
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setenv("PATH", str(pretend_mac.programs(tmp_path)), prepend=os.pathsep)
    system._sysctl.cache_clear()
    yield tmp_path / "bin"
    system._sysctl.cache_clear()


def forget(mac, fact: str) -> None:
    """Let sysctl know nothing of a fact from now on."""
    text = (mac / "sysctl").read_text()
    assert f"  {fact})" in text
    (mac / "sysctl").write_text(text.replace(f"  {fact})", "  nothing)"))
    system._sysctl.cache_clear()


@pytest.fixture
def child() -> Iterator[subprocess.Popen]:
    with subprocess.Popen(["sleep", "1000"]) as process:
        yield process
        process.kill()


def test_a_mac_is_named_by_its_processor_and_its_fast_cores_and_trains_in_fp32(mac):
    found = machine.detect("cpu")
    assert (found.name, found.precision, found.jobs) == ("Apple M2 x 2", "fp32", 2)


def test_a_mac_whose_cores_are_all_alike_uses_all_of_them(mac):
    forget(mac, "hw.perflevel0.physicalcpu")
    assert system.cores() == 8


def test_the_memory_of_a_mac_is_what_it_says(mac):
    assert machine.memory_bytes("cpu") == 16 * 2**30


def test_where_a_mac_says_nothing_there_are_cores_memory_and_a_name_all_the_same(mac, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    here = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert (system.cores(), system.cpu_memory_bytes()) == (os.cpu_count(), here)
    assert system.cpu_name() == (platform.processor() or platform.machine())
    assert (system.boot(), system.born(os.getpid())) == ([], "")


def test_the_boot_of_a_mac_is_known_where_it_says_it(mac):
    assert system.boot() == ["4D1F9E62"]
    forget(mac, "kern.bootsessionuuid")
    assert system.boot() == []


@pretend_mac.needs_linux
def test_the_boot_of_a_linux_that_hides_its_processes_is_unknown(monkeypatch):
    def refuse(path):
        raise PermissionError(path)

    assert len(system.boot()) == 2
    monkeypatch.setattr(os, "readlink", refuse)
    assert system.boot() == []


def test_a_library_for_one_kind_of_processor_is_not_taken_for_that_of_another(mac, monkeypatch):
    """A Mac runs programs for Intel too."""
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    arm = system.processor()
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    assert arm != system.processor()


@here_and_on_a_mac
def test_a_process_has_one_time_of_birth_and_none_when_it_is_dead_even_before_its_parent_looks(on, child, request):
    if on == "a mac":
        request.getfixturevalue("mac")
    born = system.born(child.pid)
    assert born and system.born(child.pid) == born
    child.kill()
    give_up = time.monotonic() + 10
    while system.born(child.pid) and time.monotonic() < give_up:
        time.sleep(0.01)
    os.kill(child.pid, 0)  # its number is still taken: it is a zombie
    assert system.born(child.pid) == ""
    child.wait()
    assert system.born(child.pid) == ""


@here_and_on_a_mac
def test_a_process_that_began_later_is_told_from_an_earlier_one(on, child, request):
    """As one that got the number of a dead process."""
    if on == "a mac":
        request.getfixturevalue("mac")
    assert system.born(child.pid) != system.born(os.getpid())


@pytest.mark.parametrize(("setting", "values"), [("TZ", ("UTC", "Asia/Tokyo", "EST5EDT")), ("LC_ALL", ("C", "de_DE.UTF-8"))])
def test_whoever_asks_a_mac_when_a_process_began_hears_the_same(mac, child, monkeypatch, setting, values):
    answers = set()
    for value in values:
        monkeypatch.setenv(setting, value)
        answers.add(system.born(child.pid))
    assert len(answers) == 1 and "" not in answers
