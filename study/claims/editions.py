"""Beyond the paper: sixteen differences between the editions of this network, at once. Which of them matter, on average?

The control is the code of 2012. Each part is one thing that another edition does differently: the printed paper, the authors'
own network of 2014, or torchvision's. "Off" means the other edition's way. The design is 2^(16-11) of resolution IV. With 32
cells no more parts can all be clear of every pair; the 120 pairs come in 15 groups of eight. The design finds the parts that
matter. Those should then be run alone, as in `fidelity`.

Some differences are left out, because a part must mean the same change on every base and must not change what another part
means. They are: one column (no columns to normalize across; its own claim is `two_columns`); torch's first weights (`narrow`
would have no meaning); standardized inputs and no colour noise (a third variant of `mean` and `eigenvalue`); no normalization
(four parts would have no meaning; its claim is `response_norm`); batches of 256 (half as many updates); biases that start at
zero (in `bias_init`; torch's start near zero, not at it); images that share a crop, one order for all epochs, colour noise for
68 epochs (the bases of 32 and 64 pixels do not have them anyway); 32 or 33 crops a side, the border and padding of layer 1,
rates that drop by validation error (they fit only images of 256 pixels); logits that start at -7 (a constant on all logits
changes nothing)."""

from alexnet.recipe import RateChange
from study.claims import fidelity
from study.questions.claim import Arm, Claim, Reported
from study.questions.designs import Fractional, screening_generators
from study.questions.measures import AtEnd
from study.questions.parts import factorial_arms
from study.questions.rules import Factorial
from study.questions.scales import ALEXNETS, WHOLE_SETS


def in_thirds(epochs: int) -> tuple[RateChange, ...]:
    """Return torchvision's schedule: all rates are divided by ten after one third of the epochs, and again after two thirds."""
    return tuple(RateChange(epoch=round(epochs * part / 3), weights=0.1**part, biases=0.1**part) for part in (1, 2))


THIRDS = {base: {"optim.schedule": in_thirds(recipe.optim.epochs)} for base, recipe in ALEXNETS.items()}

# This order puts the fifteen pairs that most likely depend on each other into fifteen different groups (a test names them).
OTHERWISE = {
    # As printed.
    "alpha": Arm("alpha", fidelity.PRINTED["alpha-times-sum"]),
    "narrow": Arm("narrow", also=fidelity.NARROW),
    "across": Arm("across", fidelity.PRINTED["norm-across-columns"]),
    "divisor": Arm("divisor", {"data.colour_noise_divisor": 1.0}),
    "mean": Arm("mean", fidelity.PRINTED["mean-of-the-crop"]),
    "rates": Arm("rates", fidelity.PRINTED["one-rate"]),  # torchvision too
    "order": Arm("order", fidelity.PRINTED["norm-after-relu"]),
    "eigenvalue": Arm("eigenvalue", {"data.colour_noise_times": "eigenvalue"}),
    "within": Arm("within", fidelity.PRINTED["no-within-map-norm"]),  # of 2014 too
    # The network of 2014, and torchvision's.
    "maps": Arm("maps", {"model.layers.0.outputs": 64, "model.layers.1.outputs": 192, "model.layers.3.outputs": 256}),
    # Torchvision's.
    "decay": Arm("decay", {"optim.weight_decay": 0.0001}),
    "placement": Arm("placement", {"model.layers.4.dropout": 0.5, "model.layers.6.dropout": 0.0}),
    "update": Arm("update", {"optim.update": "torch"}),
    "biases": Arm("biases", {"optim.decay_biases": True}),
    "inverted": Arm("inverted", {"model.dropout_form": "inverted"}),
    "thirds": Arm("thirds", also=THIRDS),
}
DESIGN = Fractional(tuple(OTHERWISE), screening_generators(len(OTHERWISE)))

CLAIM = Claim(
    title="Sixteen differences between editions at once: what each is worth on average over the others",
    command="make ablate-editions",
    reported=Reported(
        what="main effects and groups of pairs, a part that is off being as another edition has it",
        value=None,
        where="not in the paper",
    ),
    arms=factorial_arms(DESIGN, OTHERWISE, control="2012"),
    scales=WHOLE_SETS,
    measure=AtEnd("test_error_ten_views"),
    rule=Factorial(control="2012", design=DESIGN, no_effect_within=0.3, off="with"),
)
