"""The second reading of an arm: the part is taken out, and the signal keeps its scale.

Taking out a part may also make the signal larger or smaller, which alone changes how training begins. For example, without
response normalization the first logits spread twice as widely. The 2012 code handles this when it switches dropout off: it
keeps the factor of a half. The second reading does something similar with the initial weights of a layer: before training, the
logits of the arm spread as widely as the control's. `alexnet-study logits` measures this; SAME_SCALE in
study/plan/initial_logits.py says which spreads count as equal.
"""

from collections.abc import Mapping

from study.questions.claim import Arm
from study.questions.scales import ALEXNETS

SUFFIX = "-signal-kept"


def signal_kept(arm: Arm, factors: Mapping[int, float]) -> Arm:
    """Return `arm` with the initial weights of some layers scaled. `factors` maps the index of a layer, from 0, to its factor.

    If an arm changes how many inputs a unit has, the factor is the square root of (inputs before / inputs after). Otherwise it
    was found by a search on ALEXNET_32, with seeds that are never judged. On all three bases the logits of these arms then
    spread 0.91 to 1.12 times as widely as the control's (on SOURCE_2012 measured with one seed and 60 photographs).
    """
    also = {}
    for base, recipe in ALEXNETS.items():
        wide = {f"model.layers.{at}.weight_std": recipe.model.layers[at].weight_std * factor for at, factor in factors.items()}
        also[base] = {**arm.also.get(base, {}), **wide}
    return Arm(arm.label + SUFFIX, arm.diff, also)
