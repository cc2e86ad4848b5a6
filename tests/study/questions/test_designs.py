"""Designs: what their contrasts read off the means of cells, for effects that were put into them."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pytest

from study.questions.designs import AllCombinations, Design


@dataclass(frozen=True)
class HalfOfThree(Design):
    """Half of the eight combinations of three parts: those with an even number of parts off."""

    @property
    def cells(self):
        return tuple(combinations(self.factors, 2))


def means(design: Design, effects: dict[str, float]) -> np.ndarray:
    """Of the control and all cells, where switching a part off adds this much, whatever else is off."""
    return np.array([40 + sum(effects[part] for part in cell) for cell in ((), *design.cells)])


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_all_combinations_are_there_once(count):
    design = AllCombinations(tuple("abcd"[:count]))
    assert len(set(design.labels)) == len(design.cells) == 2**count - 1


@pytest.mark.parametrize("design", [AllCombinations(("a", "b", "c")), HalfOfThree(("a", "b", "c"))], ids=["all", "half"])
def test_main_effects_are_what_was_put_in_also_of_a_fraction(design):
    effects = {"a": 2.0, "b": -1.0, "c": 0.5}
    found = {name: weights @ means(design, effects) for name, weights in design.contrasts.items() if " x " not in name}
    assert found == pytest.approx(effects)


def test_an_interaction_is_half_of_what_the_pair_adds_to_its_parts():
    design = AllCombinations(("a", "b"))
    assert design.contrasts["a x b"] @ np.array([40.0, 41.0, 42.0, 44.0]) == pytest.approx((44 - 41 - 42 + 40) / 2)


def test_contrasts_of_a_full_design_know_nothing_of_one_another():
    weights = np.array(list(AllCombinations(("a", "b", "c")).contrasts.values()))
    np.testing.assert_allclose(weights @ weights.T, np.eye(6) / 2, atol=1e-12)
    np.testing.assert_allclose(weights.sum(axis=1), 0, atol=1e-12)
