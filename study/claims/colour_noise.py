"""Section 4.1: colour noise along the principal components "reduces the top-1 error rate by over 1%".

The 2012 notes have no run without it. The arm "printed" multiplies by eigenvalues, as the paper says; the control multiplies by
their square roots, as the code does.

The code divides images by 1.1 when it adds the noise, so only in training (cuda-convnet2, convdata.py). So the control trains
on images with 1/1.1 of the contrast of the test images. The arm "none" removes noise and divisor together, as the code does
when its noise is switched off."""

from study.questions.claim import Arm, Claim, Reported
from study.questions.measures import AtEnd
from study.questions.rules import DifferenceOfMeans

CLAIM = Claim(
    title="Without colour noise the error is higher",
    command="make ablate-augmentation",
    reported=Reported(what="top-1 error without minus with, points", value=1.0, precision="over", where="section 4.1"),
    arms=(
        Arm("noise"),
        Arm("none", {"data.colour_noise": 0.0}),
        Arm("printed", {"data.colour_noise_times": "eigenvalue", "data.colour_noise_divisor": 1.0}),
    ),
    measure=AtEnd("test_error_ten_views"),
    rule=DifferenceOfMeans(treated="none", control="noise", expected=1, no_effect_within=0.5),
)
