"""A measure of one's own is one file in CLAIMS_DIR: class, words, picture and the claim that asks it. No shipped file is
touched."""

from dataclasses import replace

import pytest
from helpers import made_up_result, whole_report

from alexnet.errors import Refused
from study.report.pages import write_report
from study.report.verdict_files import as_json
from study.report.verdict_table import verdict_table

CLASS = '''"""Does the test error end its fall later with colour noise?"""

from dataclasses import dataclass

from alexnet.recipe import ALEXNET_32, changed
from study.questions.claim import Arm, Claim, Reported
from study.questions.measures import Measure
from study.questions.rules import DifferenceOfMeans
from study.report.figures.draw import of_measure
from study.report.figures.errors import errors_at_end
from study.report.phrases import measured


@dataclass(frozen=True)
class BestEpoch(Measure):
    """The epoch of the lowest test error."""

    unit = "epochs"
    kind = "level"

    def value(self, run, curve):
        errors = {point.epoch: point.test_error for point in curve if point.test_error is not None}
        return float(min(errors, key=errors.get)) if errors else None

'''
WORDS = """
@measured.register
def _(measure: BestEpoch) -> str:
    return "epoch of the lowest test error"

"""
PICTURE = """
@of_measure.register
def _(measure: BestEpoch, results):
    return {"errors": errors_at_end}

"""
CLAIM = """
CLAIM = Claim(
    title="Without colour noise the test error is lowest sooner",
    command="python -m study run best_epoch",
    reported=Reported(what="epochs, without minus with", value=None, where="my own question"),
    bases={"short": changed(ALEXNET_32, {"optim.epochs": 9})},
    scales={"cifar10-jpeg": "proxy"},
    arms=(Arm("noise"), Arm("none", {"data.colour_noise": 0.0})),
    measure=BestEpoch(),
    rule=DifferenceOfMeans(treated="none", control="noise", expected=-1, no_effect_within=0.5),
)
"""


def measured(planned):
    """A run of 9 epochs whose test error is lowest at epoch 4 or 5 without noise, and at 7 or 8 with it."""
    best = (4 if planned.arm == "none" else 7) + planned.seed % 2
    result = made_up_result(planned, crossing=None)
    points = tuple(replace(point, test_error=0.3 + 0.01 * abs(point.epoch - best)) for point in result.points)
    ends = {"test_error": points[-1].test_error, "test_error_ten_views": 0.3, "test_top5_error_ten_views": 0.1}
    return replace(result, points=points, answers=None, **ends)


def test_it_is_planned_judged_drawn_and_reported(own_claim):
    folder, (found,) = own_claim("best_epoch", CLASS + WORDS + PICTURE + CLAIM, measured)
    assert found.arm("none").known == [4, 5, 4] and found.arm("noise").known == [7, 8, 7, 8, 7]
    assert found.verdict.direction == "supported"
    assert found.verdict.effect.estimate == pytest.approx(13 / 3 - 0.8 * 22 / 3 - 0.2 * 7.5)  # by block, and two of the control
    table = verdict_table([found])
    assert "epoch of the lowest test error" in table and "-3.03 epochs [" in table
    assert as_json(found, {})["unit"] == "epochs"
    write_report(folder)
    assert "None minus noise is -3.03 epochs (95% interval" in whole_report(folder)
    assert [path.name.rpartition("-")[2] for path in (folder / "figures").glob("best_epoch-*")] == ["errors.png"]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (CLASS + PICTURE + CLAIM, "BestEpoch has no words"),
        (CLASS + WORDS + CLAIM, "BestEpoch has no picture"),
        (CLASS.replace('    unit = "epochs"\n', "") + WORDS + PICTURE + CLAIM, "BestEpoch has no unit"),
        (CLASS.replace("def value", "def number") + WORDS + PICTURE + CLAIM, "BestEpoch.*value"),
    ],
    ids=["words", "picture", "unit", "value"],
)
def test_what_it_leaves_out_is_refused_by_its_name(own_claim, text, named):
    with pytest.raises(Refused, match=named):
        write_report(own_claim("best_epoch", text, measured)[0])
