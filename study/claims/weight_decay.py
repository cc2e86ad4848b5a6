"""Section 5: weight decay of 0.0005 "is not merely a regularizer: it reduces the model's training error"."""

from study.questions.claim import Arm, Claim, Reported
from study.questions.measures import AtEnd
from study.questions.rules import DifferenceOfMeans

CLAIM = Claim(
    title="Without weight decay the training error is higher",
    command="make ablate-weight-decay",
    reported=Reported(what="exact training error without minus with decay", value=None, where="section 5"),
    arms=(
        Arm("0.0005"),
        Arm("none", {"optim.weight_decay": 0.0}),
        Arm("0.0001", {"optim.weight_decay": 0.0001}),
        Arm("0.0025", {"optim.weight_decay": 0.0025}),
    ),
    measure=AtEnd("train_error"),
    rule=DifferenceOfMeans(treated="none", control="0.0005", expected=1, no_effect_within=0.5),
)
