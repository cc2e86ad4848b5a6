"""Section 6, tables 1 and 2: the averaged predictions of five similar nets have 38.1% error, one net 40.7% (top-1, validation).

Ten views, as in the tables. Which five nets the authors averaged is not recorded; here they differ only in their seed.
"""

from study.questions.claim import Arm, Claim, Reported
from study.questions.measures import Averaged
from study.questions.rules import OverImages

CLAIM = Claim(
    title="Five nets averaged have a lower error than one",
    command="make reproduce-tables",
    reported=Reported(what="top-1 error of five nets averaged minus one, points", value=-2.6, where="section 6, table 2"),
    arms=(Arm("2012"),),
    measure=Averaged(nets=5),
    rule=OverImages(control="2012", expected=-1, no_effect_within=0.3),
    seeds=5,
)
