"""`settle`, killed repeatedly, ends with the same results as when undisturbed."""

import random

import pytest
from injured import in_make_faults
from settled import compare, finish, fix_rule, kill, prepare


@pytest.mark.slow
@in_make_faults
def test_three_kills_at_random_moments_lose_and_double_nothing(tmp_path):
    undisturbed, hurt = tmp_path / "undisturbed", tmp_path / "hurt"
    for folder in (undisturbed, hurt):
        prepare(folder)
        fix_rule(folder)
    finish(undisturbed)
    luck = random.Random(2012)
    for _ in range(3):
        kill(hurt, luck, most_seconds=60)
    finish(hurt)
    assert compare(hurt, undisturbed) == (0, 0, True)
