"""JSON that verbs print for scripts: any strict parser reads it."""

import contextlib
import io
import json
import math
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

import study
from study.cli.console import print_json

CLI = Path(study.__file__).parent / "cli"


def printed(content) -> object:
    """Return what a parser reads that refuses NaN, Infinity and -Infinity."""

    def refuse(constant: str):
        raise AssertionError(f"{constant} is not JSON")

    with contextlib.redirect_stdout(io.StringIO()) as text:
        print_json(content)
    return json.loads(text.getvalue(), parse_constant=refuse)


@given(st.dictionaries(st.text(), st.floats()))
def test_a_number_that_json_lacks_is_printed_as_null_and_any_other_as_it_is(numbers):
    expected = {name: number if math.isfinite(number) else None for name, number in numbers.items()}
    assert printed(numbers) == expected
    assert printed([{"inside": (numbers, "text")}]) == [{"inside": [expected, "text"]}]


def test_every_verb_prints_its_json_that_way():
    others = [path.name for path in CLI.glob("*.py") if "json.dump" in path.read_text() and path.name != "console.py"]
    assert not others
