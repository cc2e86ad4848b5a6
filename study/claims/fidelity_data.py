"""Beyond the paper: images, crops and epochs as printed or as in the code that ran, on full-size images.

`fidelity` cannot test these differences on images of 32 and 64 pixels: they fit only images of 256 pixels, or the smaller
networks use the printed way already. They are: crops from 32 offsets a side, as the printed factor 2048 implies, or from all
33; one crop for each image or for 32 images in turn; a new order in each epoch or one order for all; colour noise to the end or
for 68 epochs; 90 epochs or 93. Together with `fidelity` and `rate_drops`, each of the 19 fields in which the paper and the code
differ is in an arm (a test counts them)."""

from alexnet.recipe import PAPER, SOURCE_2012
from study.questions.claim import Arm, Claim, Reported
from study.questions.measures import AtEnd
from study.questions.rules import DifferenceOfMeans

PRINTED = {
    "32-offsets": {"data.crop_offsets": PAPER.data.crop_offsets},
    "own-crops": {"data.images_per_draw": PAPER.data.images_per_draw},
    "reshuffled": {"data.order": PAPER.data.order},
    "noise-to-the-end": {"data.colour_noise_epochs": PAPER.data.colour_noise_epochs},
    "90-epochs": {"optim.epochs": PAPER.optim.epochs},
}
ALL = {field: value for diff in PRINTED.values() for field, value in diff.items()}

CLAIM = Claim(
    title="With images drawn as printed the error is lower than with images drawn as coded",
    command="make ablate-fidelity-data",
    reported=Reported(what="top-1 error as printed minus as coded", value=None, where="not in the paper"),
    bases={"SOURCE_2012": SOURCE_2012},
    arms=(Arm("2012"), Arm("printed", ALL), *(Arm(label, diff) for label, diff in PRINTED.items())),
    scales={"imagenet": "native"},
    measure=AtEnd("test_error_ten_views"),
    rule=DifferenceOfMeans(treated="printed", control="2012", expected=-1, no_effect_within=0.5),
)
