"""study/judge/contrasts.py: effects with seeds as blocks, beside least squares with a column for each block."""

import math

import numpy as np
import pytest
from made_up_arms import arm_of
from scipy import stats
from statsmodels.regression.linear_model import OLS

from study.judge.contrasts import effects_of, in_blocks
from study.questions.designs import SCREENING_OF_8, AllCombinations, Fractional

pytestmark = pytest.mark.filterwarnings("error")

FOUR = AllCombinations(tuple("abcd"))
SCREENING = Fractional(tuple("ABCDEFGH"), SCREENING_OF_8)
SEEDS = (0, 1, 2)


def cells_of(design, generator, luck=0.0, blocks=SEEDS, spread=1.0):
    """Of the control and every cell values by block: noise, and what all cells of a block share."""
    shared = generator.normal(0, 1, len(blocks))
    noise = generator.normal(0, spread, (len(design.cells) + 1, len(blocks)))
    values = 40 + math.sqrt(luck) * shared + math.sqrt(1 - luck) * noise
    return [dict(zip(blocks, row, strict=True)) for row in values.tolist()]


@pytest.mark.parametrize("design", [FOUR, SCREENING], ids=["full", "fraction"])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_an_effect_is_that_of_least_squares_with_a_column_for_each_block(design, level):
    cells = cells_of(design, np.random.default_rng(3), luck=0.6)
    found = in_blocks(cells, design.contrasts, level)
    effects = np.array(
        [np.repeat(group.weights * len(cells) / 4, len(SEEDS)) for group in design.groups]
    ).T  # from -1/2 to +1/2
    blocks = np.tile(np.eye(len(SEEDS)), (len(cells), 1))
    fitted = OLS(np.array([list(cell.values()) for cell in cells]).ravel(), np.column_stack([effects, blocks])).fit()
    for place, group in enumerate(design.groups):
        effect = found[group.name]
        assert effect.estimate == pytest.approx(fitted.params[place])
        assert (effect.lower, effect.upper) == pytest.approx(tuple(fitted.conf_int(1 - level)[place]))
        assert effect.degrees_of_freedom == fitted.df_resid == (len(cells) - 1) * (len(SEEDS) - 1)
        assert effect.sd == pytest.approx(math.sqrt(fitted.mse_resid))


def test_two_cells_are_compared_as_pairs_by_seed():
    treated, control = {0: 18.4, 1: 18.9, 2: 18.1}, {0: 17.0, 1: 17.3, 2: 17.1}
    effect = in_blocks([control, treated], {"effect": [-1, 1]})["effect"]
    expected = stats.ttest_rel(list(treated.values()), list(control.values())).confidence_interval()
    assert (effect.lower, effect.upper) == pytest.approx((expected.low, expected.high))


def test_what_a_block_adds_to_all_its_cells_changes_nothing():
    cells = cells_of(FOUR, np.random.default_rng(5))
    moved = [{seed: value + 100 * seed for seed, value in cell.items()} for cell in cells]
    before, after = in_blocks(cells, FOUR.contrasts), in_blocks(moved, FOUR.contrasts)
    for name, effect in before.items():
        assert (after[name].estimate, after[name].lower) == pytest.approx((effect.estimate, effect.lower))


def test_only_blocks_that_every_cell_has_enter_and_the_others_are_counted():
    cells = cells_of(FOUR, np.random.default_rng(6), blocks=(0, 1, 2, 3))
    whole = in_blocks([{seed: cell[seed] for seed in (0, 1, 3)} for cell in cells], FOUR.contrasts)
    del cells[7][2]
    cells[0][9] = 50.0  # a seed that the control alone has
    found = in_blocks(cells, FOUR.contrasts)
    assert {(effect.blocks, effect.left_out) for effect in found.values()} == {(3, 2)}
    assert {name: effect.estimate for name, effect in found.items()} == pytest.approx({n: t.estimate for n, t in whole.items()})


@pytest.mark.parametrize(
    ("cells", "known"), [([{}, {}], False), ([{0: 1.0}, {}], False), ([{0: 1.0}, {0: 3.0}], True)], ids=["none", "one", "block"]
)
def test_without_two_blocks_there_are_no_limits(cells, known):
    effect = in_blocks(cells, {"effect": [-1, 1]})["effect"]
    assert (effect.lower, effect.upper, effect.leaves_out_zero) == (-math.inf, math.inf, False)
    assert effect.estimate == 2 if known else math.isnan(effect.estimate)


def test_a_spread_of_zero_is_no_certainty():
    effect = in_blocks([{0: 1.0, 1: 1.0}, {0: 3.0, 1: 3.0}], {"effect": [-1, 1]})["effect"]
    assert (effect.estimate, effect.lower, effect.upper) == (2.0, -math.inf, math.inf)


@pytest.mark.parametrize("luck", [0.0, 0.8])
def test_intervals_cover_as_often_as_they_say_whatever_the_cells_of_a_seed_share(luck):
    generator, covered = np.random.default_rng(2012), []
    for _ in range(200):
        found = in_blocks(cells_of(SCREENING, generator, luck), SCREENING.contrasts)
        covered += [effect.lower <= 0 <= effect.upper for effect in found.values()]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.015)  # 3,000 intervals in 200 experiments: a standard error of 0.005


def test_an_arm_enters_by_its_seeds_and_a_run_without_a_value_takes_its_seed_out():
    design = AllCombinations(("a",))
    on, off = [1.0, 2.0, 3.0, 9.0], [2.0, None, 5.0]
    arms = {label: runs_of(runs) for label, runs in {"on": on, "a": off}.items()}
    effect = effects_of(design, "on", arms)["a"]
    assert (effect.estimate, effect.blocks, effect.left_out) == (pytest.approx(1.5), 2, 2)


def runs_of(values, failed=()):
    return arm_of("any", values, learned_nothing=[at in failed for at in range(len(values))])


def test_a_run_that_learned_nothing_takes_its_seed_out_as_one_that_diverged_does():
    """Its error is a number, of chance; it is no effect of a part."""
    design, on = AllCombinations(("a",)), [1.0, 2.0, 3.0]
    effect = effects_of(design, "on", {"on": runs_of(on), "a": runs_of([2.0, 90.0, 4.0], failed=[1])})["a"]
    assert (effect.estimate, effect.blocks) == (pytest.approx(1.0), 2)
