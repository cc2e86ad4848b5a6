"""A rule of one's own is one file in CLAIMS_DIR: class, judge, sentence, picture and the claim that asks it."""

from dataclasses import replace

import pytest
from helpers import made_up_result, whole_report

from alexnet.errors import Refused
from study.report.pages import write_report
from study.report.verdict_table import verdict_table

CLASS = '''"""Does colour noise help in the median pair of seeds?"""

import math
from dataclasses import dataclass, replace
from statistics import median

from alexnet.recipe import ALEXNET_32, changed
from study.judge import intervals
from study.judge.decision import ClaimLooks, Look, Question
from study.judge.rules import judge
from study.questions.claim import Arm, Claim, Reported
from study.questions.measures import AtEnd
from study.questions.rules import Signed
from study.report.figures.draw import of_rule
from study.report.sentences import sentence


@dataclass(frozen=True, kw_only=True)
class SignOfMedian(Signed):
    """The median of the differences, seed by seed, has the expected sign."""

    judges = ("level",)

    treated: str

    @property
    def treated_arms(self):
        return (self.treated,)

'''
JUDGE = """
@judge.register
def _(rule: SignOfMedian, case):
    blocks = case.at(0, rule.treated, rule.control)
    treated, control = (case.values(label, blocks[label]) for label in (rule.treated, rule.control))
    pairs = [value - control[block] for block, value in treated.items() if block in control]
    middle = median(pairs) if pairs else math.nan
    effect = intervals.difference_of(middle, math.nan, math.nan, 0.95, len(pairs), len(pairs), math.nan)
    p = 0.01 if middle * rule.expected > 0 else 1.0
    look = Look(number=1, treated=rule.treated, effect=effect, p_supported=p)
    return ClaimLooks(
        looks=(look,) if pairs else (), shares=(1.0,), so_far=replace(look, number=0), seeds_of_looks=(3,),
        seeds=len(pairs), question=Question(rule.no_effect_within, expected=rule.expected),
    )

"""
SENTENCE = """
@sentence.register
def _(rule: SignOfMedian, measure, verdict) -> str:
    return f"The median of {verdict.effect.n_treated} differences is {verdict.effect.estimate:+.2f} {measure.unit}."

"""
PICTURE = """
@of_rule.register
def _(rule: SignOfMedian, pictures):
    return {"errors": pictures["errors"]}

"""
CLAIM = """
CLAIM = Claim(
    title="Without colour noise the error is higher in the median pair",
    command="python -m study run median_pair",
    reported=Reported(what="top-1 error, without minus with", value=None, where="my own question"),
    bases={"short": changed(ALEXNET_32, {"optim.epochs": 9})},
    scales={"cifar10-jpeg": "proxy"},
    arms=(Arm("noise"), Arm("none", {"data.colour_noise": 0.0})),
    measure=AtEnd(),
    rule=SignOfMedian(treated="none", control="noise", expected=1, no_effect_within=0.1),
)
"""
WITH, WITHOUT = (0.30, 0.31, 0.32, 0.5, 0.5), (0.29, 0.33, 0.35)  # differences of -1, +2 and +3 points


def measured(planned):
    errors = WITHOUT if planned.arm == "none" else WITH
    return replace(made_up_result(planned, crossing=None), test_error=errors[planned.seed])


def test_it_is_planned_judged_drawn_and_reported(own_claim):
    folder, (found,) = own_claim("median_pair", CLASS + JUDGE + SENTENCE + PICTURE + CLAIM, measured)
    assert (found.verdict.direction, found.verdict.effect.estimate) == ("supported", pytest.approx(2))
    assert "+2.00 points (no interval)" in verdict_table([found])
    write_report(folder)
    assert "The median of 3 differences is +2.00 points." in whole_report(folder)
    assert [path.name.rpartition("-")[2] for path in (folder / "figures").glob("median_pair-*")] == ["errors.png"]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (CLASS + SENTENCE + PICTURE + CLAIM, "nothing judges SignOfMedian"),
        (CLASS + JUDGE + PICTURE + CLAIM, "SignOfMedian has no sentence"),
        (CLASS + JUDGE + SENTENCE + CLAIM, "SignOfMedian has no pictures"),
        (
            CLASS.replace('    judges = ("level",)\n', "") + JUDGE + SENTENCE + PICTURE + CLAIM,
            "SignOfMedian has no judges",
        ),
    ],
    ids=["judge", "sentence", "picture", "kinds of measure"],
)
def test_what_it_leaves_out_is_refused_by_its_name(own_claim, text, named):
    with pytest.raises(Refused, match=named):
        write_report(own_claim("median_pair", text, measured)[0])
