"""Section 6: "we use validation and test error rates interchangeably because in our experience they do not differ by more than
0.1%".

The paragraph speaks of top-5 errors; as ten classes are too few for those, top-1 stands in.

The same weights, the centre view, on the last training images, which are kept back, and on the test images. The two errors
are shares of images, and so differ by chance: of 16.4%, the paper's top-5 error, 50,000 and 150,000 images give a standard
error of 0.19 points by the binomial formula, twice the 0.1. So the interval is over images besides seeds, and the row says how
many images it would take. The claim is younger than the rules of cifar10-jpeg and cifar10-jpeg-2500, and is not asked there.
"""

from alexnet.recipe import changed
from study.questions.claim import Arm, Claim, Reported
from study.questions.measures import ValidationGap
from study.questions.rules import Alike
from study.questions.scales import ALEXNET_ROLES, ALEXNETS

VALIDATION_IMAGES = {"ALEXNET_32": 1_000, "ALEXNET_64": 5_000, "SOURCE_2012": 50_000}
KEPT_BACK = {base: changed(recipe, {"data.validation_images": VALIDATION_IMAGES[base]}) for base, recipe in ALEXNETS.items()}
SCALES = {scale: role for scale, role in ALEXNET_ROLES.items() if scale not in ("cifar10-jpeg", "cifar10-jpeg-2500")}

CLAIM = Claim(
    title="Validation and test error differ by 0.1 points at most",
    command="make ablate-validation",
    reported=Reported(what="validation minus test error, points, at most 0.1 either way", value=None, where="section 6"),
    bases=KEPT_BACK,
    arms=(Arm("2012"),),
    scales=SCALES,
    measure=ValidationGap(),
    rule=Alike(control="2012", within=0.1),
)
