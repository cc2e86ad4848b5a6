"""Names of picture files: as links hold them, and one claim's each."""

import itertools
import re
from pathlib import Path
from urllib.parse import quote

import pytest

from study.plan.claim_files import all_claims
from study.record.figure_files import arrays_path, linkable, picture_path, read_arrays, slug

RESULTS = Path(__file__).parents[3] / "results"
ODD = ("my claim", "my  claim", "my-claim", "claim (1)", "claim#2", "50%", "größer", "a?b", "[x]", "naïve claim")


@pytest.mark.parametrize("claim", ODD)
def test_a_link_to_a_picture_needs_no_quoting_whatever_its_claim_is_called(claim):
    names = [
        picture_path(Path(), claim, "shapes", "errors", "").name,
        arrays_path(Path(), claim, "shapes", "A base", "0123456789ab", "AMD EPYC x 2, bf16", "figure-4").name,
        f"{linkable(claim)}-together.png",
    ]
    assert all(quote(name) == name and re.fullmatch(r"[\w.-]+", name) for name in names)


def test_no_two_claims_share_a_picture():
    assert len({picture_path(Path(), claim, "shapes", "errors", "") for claim in ODD}) == len(ODD)


def test_a_name_that_a_link_holds_stays_as_it_is():
    for claim in (*all_claims(), "mine-2.b"):
        assert picture_path(Path("r"), claim, "shapes", "errors", "") == Path("r/figures") / f"{claim}-shapes-errors.png"


def test_arrays_of_other_images_or_of_another_base_are_in_a_file_of_their_own():
    nets = itertools.product(("ALEXNET_32", "SOURCE_2012"), ("0123456789ab", "ba9876543210"))
    paths = {arrays_path(Path(), "nearest_images", "cifar10-jpeg", *net, "here", "figure-4") for net in nets}
    assert len(paths) == 4


def test_committed_arrays_are_found_again_for_the_images_and_the_base_of_their_title_and_for_no_others():
    committed = sorted((RESULTS / "figures").glob("*.npz"))
    for path in committed:
        title = str(read_arrays(path)["title"])
        base, fingerprint, machine = re.fullmatch(r"(\S+), seed \d+, \S+ \((\w+)\) on (.+)", title).groups()
        scale = path.name.removeprefix("nearest_images-").partition(f"-{slug(machine)}")[0]

        def found(base, fingerprint, scale=scale, machine=machine):
            return arrays_path(RESULTS, "nearest_images", scale, base, fingerprint, machine, "figure-4")

        assert found(base, fingerprint) == path
        assert not found(base, "0123456789ab").exists() and not found("ANOTHER", fingerprint).exists()
    assert committed
