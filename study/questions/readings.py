"""The second reading of an arm: the part is taken out, and the signal keeps its scale.

To take out a part may also make the signal larger or smaller, which alone changes how training begins: without response
normalization the first logits spread twice as widely. The 2012 code met this where it switches dropout off: the factor of a
half stays. The second reading does the like by the initial weights of a layer, so that before training the logits of the arm
spread as widely as the control's (`alexnet-study logits` measures it; SAME_SCALE in study/plan/initial_logits.py says what is
alike).
"""

from collections.abc import Mapping

from alexnet.recipe import Recipe
from study.questions.claim import Arm
from study.questions.scales import ALEXNETS

SUFFIX = "-signal-kept"


def signal_kept(arm: Arm, factors: Mapping[int, float], bases: Mapping[str, Recipe] = ALEXNETS) -> Arm:
    """`arm` with initial weights that are as many times as wide as `factors` says, by the index of the layer, from 0.

    Where an arm changes how many inputs a unit has, the factor is the square root of inputs before by inputs after. Elsewhere
    it was searched for on ALEXNET_32, with seeds that are never judged. On all three bases the logits of these arms then spread
    0.91 to 1.12 times as widely as the control's (SOURCE_2012 by one seed and 60 photographs).
    """
    also = {}
    for base, recipe in bases.items():
        wide = {f"model.layers.{at}.weight_std": recipe.model.layers[at].weight_std * factor for at, factor in factors.items()}
        also[base] = {**arm.also.get(base, {}), **wide}
    return Arm(arm.label + SUFFIX, arm.diff, also)
