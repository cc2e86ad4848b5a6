"""`logits`: measures how widely each arm's logits spread before training, relative to the claim's first arm."""

import argparse
from functools import partial

from study.cli.arguments import Verbs, add_verb, claim_options, device_option, machine_of_one_run, writable
from study.cli.console import Console
from study.cli.images import load_known
from study.cli.selection import select_claims
from study.environment import results_dir
from study.plan.initial_logits import LOGITS, SEEDS, InitialLogits, changes_scale
from study.plan.plan import pick_arms, pick_bases
from study.questions.scales import scale_named


def add_to(verbs: Verbs) -> None:
    text = (
        "measure how widely each arm's logits spread before training, compared with the claim's first arm, and write it to "
        f"{LOGITS.name} in the folder of results"
    )
    use = "where runs would be trained, which decides the scale if none is named"
    add_verb(verbs, "logits", measure_logits, text, claim_options(), device_option(use))


def measure_logits(args: argparse.Namespace) -> None:
    """Measure and write the spreads; those that are already in the file are not measured again."""
    from study.run.initial_logits import spreads_of

    machine = machine_of_one_run(args.device)
    selected = select_claims(args, machine.device == "cuda")  # refused before anything is written
    console, folder = Console(), writable(results_dir(), "RESULTS_DIR")
    known = LOGITS.read(folder, may_lack=True)  # a damaged file that was deleted is measured again
    for asked in selected:
        claim, scale = asked.claim, scale_named(asked.scale)
        images = load_known(scale.data)
        for base in pick_bases(claim, scale, args.base):
            control = claim.recipe_at(asked.scale, base, claim.arms[0].label)
            for label in pick_arms(claim, args.arms or ["all"]):
                recipe = claim.recipe_at(asked.scale, base, label)  # rates, which may be tuned, change no first logit
                if not known.of(recipe, images.fingerprint):
                    spreads = spreads_of(recipe, images)
                    put = partial(InitialLogits.put, recipe=recipe, fingerprint=images.fingerprint, spreads=spreads)
                    known = LOGITS.change(folder, put, may_lack=True)  # others may have measured other arms meanwhile
                ratio = known.ratio(recipe, control, images.fingerprint)
                if ratio is not None and recipe != control:
                    mark = "  changes the scale of the signal too" if changes_scale(ratio) else ""
                    console.say(f"{asked.name:20} {base:12} {label:24} x{ratio:.2f}{mark}")
    console.say(f"the spread over images of the logits, seeds {SEEDS[0]} to {SEEDS[-1]}, is in {folder / LOGITS.name}")
