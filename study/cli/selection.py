"""Finds which claims the options of a command select, and at which scale; `arguments.py` defines the options."""

import argparse
from collections.abc import Callable, Collection
from dataclasses import dataclass

from alexnet.errors import Refused
from alexnet.machine import Machine
from study.cli.console import command_line
from study.counted import counted
from study.environment import data_dir
from study.plan.claim_files import all_claims, get_claim, get_scale, read_claims
from study.plan.plan import pick_arms, pick_bases
from study.questions.claim import Claim
from study.questions.scales import FALLBACK, FALLBACK_ON_GPU, MADE_UP, is_own, scale_named


@dataclass(frozen=True)
class ClaimAtScale:
    """A claim, the scale at which it is asked, and a text that says why at this one."""

    name: str
    claim: Claim
    scale: str
    why: str

    def headline(self, machine: Machine, fingerprint: str) -> str:
        """Return two lines: the scale and the machine."""
        chosen = self.why if is_own(self.scale) else f"Chosen: {self.why}"  # of own images, it says what was made of them
        return (
            f"Scale {self.scale}: {scale_named(self.scale).about} (fingerprint {fingerprint}). {chosen}.\n"
            f"Machine: {machine.label}; {counted(machine.jobs, 'run')} at a time, {counted(machine.threads, 'thread')} each."
        )


def is_tested(claim: Claim) -> bool:
    return claim.rule.is_tested


def select_claims(args: argparse.Namespace, on_gpu: bool, all_means: Callable[[Claim], bool] = is_tested) -> list[ClaimAtScale]:
    """Return the claims that the arguments name, each at its scale.

    "all" leaves out claims that are not asked at the scale, and those that `all_means` does not: by default factorial designs,
    which claim nothing and take a day, so they are run by name. `on_gpu`: whether the runs would be trained on a GPU, which
    decides the scale where none is named; so every verb takes the same scale as `run`. Writes nothing. Raises Refused for names
    that do not exist.
    """
    everything, selected, why = means_all(args.claims), [], ""
    looked: dict[str, str] = {}
    named = named_claims(args, all_means)
    for name, claim in named.items():
        if not args.scale:
            scale, why = first_scale_there([claim], args, on_gpu, looked)
            if scale:
                selected.append(ClaimAtScale(name, claim, scale, why))
            elif not everything:
                raise Refused(name_a_scale(name, list(claim.scales), why, args))
        else:
            for scale, why in _asked_scales(args).items():
                if everything and not (claim.is_asked_at(scale) and pick_bases(claim, get_scale(claim, scale), [])):
                    continue
                if not pick_bases(claim, get_scale(claim, scale), args.base):
                    sides = ", ".join(str(base.model.image_size) for base in claim.bases.values())
                    side = scale_named(scale).side
                    raise Refused(f"SCALE: {name} has no network for images of {side} pixels; its crops are of {sides}")
                selected.append(ClaimAtScale(name, claim, scale, why))
    if not selected:
        scales = ", ".join(dict.fromkeys(scale for claim in named.values() for scale in claim.scales))
        none_has = f"SCALE: no claim of `{args.verb} all` is asked at {args.scale!r}; choices: {scales}"
        raise Refused(none_has if args.scale else name_a_scale("every claim", [MADE_UP], why, args))
    return selected


def named_claims(args: argparse.Namespace, all_means: Callable[[Claim], bool] = is_tested) -> dict[str, Claim]:
    """Return the claims that the arguments name. Raises Refused for claims and arms that do not exist, so that a command can
    refuse them before it packs images."""
    everything = means_all(args.claims)
    if not everything:
        _, wrong = read_claims()
        for name in args.claims:
            if name in wrong:  # also where a claim of the package has this name: the user meant the file
                raise Refused(str(wrong[name]))
    named = {name: get_claim(name) for name in (all_claims() if everything else dict.fromkeys(args.claims))}
    if everything:
        named = {name: claim for name, claim in named.items() if all_means(claim)}
    for claim in named.values():
        pick_arms(claim, getattr(args, "arms", ()))
    return named


def _asked_scales(args: argparse.Namespace) -> dict[str, str]:
    """Return the scales that were asked for, each with the reason; several where own images are split several times."""
    return getattr(args, "own", None) or {args.scale: "as asked"}


def means_all(claims: list[str]) -> bool:
    """Return whether these names mean every claim. Raises Refused for "all" together with other names."""
    if "all" in claims and len(claims) > 1:
        others = ", ".join(name for name in claims if name != "all") or "it once"
        raise Refused(f"claim: all means every claim and stands alone; leave it out, or name no other ({others})")
    return claims == ["all"]


def may_download(args: argparse.Namespace) -> bool:
    """Return whether the command may download images: one that trains may; a plan or a new rule uses what is there."""
    return not (args.verb == "plan" or getattr(args, "plan", False) or getattr(args, "new_rule", False))


def first_scale_there(
    claims: Collection[Claim], args: argparse.Namespace, on_gpu: bool, looked: dict[str, str] | None = None
) -> tuple[str, str]:
    """Choose a scale where none is named. Returns the scale, or an empty text, and the reason.

    It is the first of FALLBACK (on a GPU of FALLBACK_ON_GPU) at which all `claims` are asked and whose images are there. If
    none is there, it is the first whose images can be downloaded, unless the command may not download; so `plan` and `run`
    agree wherever some images are there. `looked`: why the images of each scale were missing when this command first looked,
    so that a download for one claim does not change the scale of another. With one claim, raises Refused for bases that it
    lacks at a scale."""
    from alexnet.data.image_sets import available, source_of

    looked = {} if looked is None else looked
    reasons: dict[str, str] = {}
    for scale in FALLBACK_ON_GPU if on_gpu else FALLBACK:
        if all(scale in claim.scales for claim in claims):
            for claim in claims if len(claims) == 1 else ():
                pick_bases(claim, get_scale(claim, scale), args.base)
            if scale not in looked:
                looked[scale] = available(scale, data_dir(), False)
            if not looked[scale]:
                return scale, "; ".join([*reasons.values(), f"{scale} is there"])
            reasons[scale] = looked[scale]
    for scale in [*reasons] if may_download(args) else ():
        if source_of(scale).can_download:
            reasons[scale] = available(scale, data_dir(), True)
            if not reasons[scale]:
                others = [why for why in reasons.values() if why]
                return scale, "; ".join([*others, f"{scale} was downloaded"])
    return "", "; ".join(reasons.values())


def name_a_scale(who: str, scales: list[str], why_none: str, args: argparse.Namespace) -> str:
    """Return the message where no scale was named and none could be chosen. `why_none`: why none of the fallbacks could be."""
    if why_none and MADE_UP in scales:
        bring = "" if may_download(args) else f"`{command_line('data', 'pack', FALLBACK[0])}` downloads {FALLBACK[0]}, "
        return f"SCALE: none named, and no images there ({why_none}); {bring}--scale {MADE_UP} takes small made-up ones"
    why = f" ({why_none})" if why_none else ""
    return f"SCALE: {who} is asked at {', '.join(scales)}{why}; name one: --scale {scales[0]}, or SCALE={scales[0]}"
