"""study/report/all_findings.py: by what a reader of the web page can filter and sort the findings."""

from dataclasses import replace

from made_up_arms import HERE, THERE
from made_up_findings import FEW, SCALE, MadeUp, found

from study.report.all_findings import facts


def test_findings_can_be_filtered_by_scale():
    assert facts([found("response_norm"), found("response_norm", scale=FEW)])["scale"] == [SCALE, FEW]


def test_the_machines_to_filter_by_are_those_that_the_column_shows_and_not_those_of_runs_that_are_not_judged():
    one = found("response_norm", machines=(HERE, THERE))
    judged = replace(one.verdict, look=replace(one.verdict.look, machines=(THERE,)))
    assert facts([MadeUp(**vars(one) | {"verdict": judged})])["machine"] == [THERE]
    unjudged = replace(one.verdict, look=replace(one.verdict.look, machines=()))
    assert facts([MadeUp(**vars(one) | {"verdict": unjudged})])["machine"] == [HERE, THERE]
