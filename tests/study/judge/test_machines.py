"""What the machines say apart."""

import numpy as np
import pytest
from made_up_arms import HERE, THERE, arm_of, case_of
from scipy import stats

from study.judge.machines import agreement
from study.plan.claim_files import all_claims


def test_of_several_arms_the_smallest_p_value_of_the_machines_counts_as_often_as_there_are_arms():
    labels, rng = ("without-2", "without-3", "without-4"), np.random.default_rng(3)
    control = {HERE: list(rng.normal(40, 0.2, 4)), THERE: list(rng.normal(40, 0.2, 4))}
    treated = {
        label: {HERE: list(rng.normal(41, 0.2, 4)), THERE: list(rng.normal(41 + by, 0.2, 4))}
        for label, by in zip(labels, (0, 0.5, 0), strict=True)
    }
    arms = {label: arm_of(label, runs) for label, runs in {"all-five": control, **treated}.items()}
    agreed = agreement(case_of(all_claims()["depth"], arms, machines=(HERE, THERE)))
    p_of = {
        label: stats.ttest_ind(*(np.subtract(runs[at], control[at]) for at in (HERE, THERE)), equal_var=False).pvalue
        for label, runs in treated.items()
    }
    least = min(p_of, key=lambda label: p_of[label])
    assert agreed is not None and (agreed.treated, agreed.p) == (least, pytest.approx(3 * p_of[least])) and 3 * p_of[least] < 1
