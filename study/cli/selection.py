"""Which claims the options of a command select, and at which scale each; see `arguments.py` for the options themselves."""

import argparse
from collections.abc import Collection
from dataclasses import dataclass

from alexnet.errors import Refused
from alexnet.machine import Machine
from study.cli.console import command_line
from study.counted import counted
from study.environment import data_dir
from study.plan.claim_files import all_claims, get_claim, get_scale, read_claims
from study.plan.plan import pick_arms, pick_bases
from study.questions.claim import Claim
from study.questions.scales import FALLBACK, FALLBACK_ON_GPU, MADE_UP, scale_named


@dataclass(frozen=True)
class ClaimAtScale:
    """A claim, the scale at which it is asked, and in words why at that one."""

    name: str
    claim: Claim
    scale: str
    why: str

    def headline(self, machine: Machine, fingerprint: str) -> str:
        """The scale and the machine, in two lines."""
        return (
            f"Scale {self.scale}: {scale_named(self.scale).about} (fingerprint {fingerprint}). Chosen: {self.why}.\n"
            f"Machine: {machine.label}; {counted(machine.jobs, 'run')} at a time, {counted(machine.threads, 'thread')} each."
        )


def select_claims(args: argparse.Namespace, on_gpu: bool) -> list[ClaimAtScale]:
    """The claims that the arguments name, each at its scale. "all" leaves out those that do not know the scale, and
    designs that ask several parts at once, which claim nothing and take a day: they are run by their names. `on_gpu`: whether
    the runs would work on a GPU, which decides the scale where none is named; so every verb takes the one that `run` does.

    Nothing is written. Raises Refused for names that do not exist.
    """
    everything, selected, why = means_all(args.claims), [], ""
    looked: dict[str, str] = {}
    for name, claim in named_claims(args).items():
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
        none_has = f"SCALE: no claim has {args.scale!r}"
        raise Refused(none_has if args.scale else name_a_scale("every claim", [MADE_UP], why, args))
    return selected


def named_claims(args: argparse.Namespace) -> dict[str, Claim]:
    """The claims that the arguments name. Raises Refused for claims and arms that do not exist: a command asks this before it
    packs any images."""
    everything = means_all(args.claims)
    if not everything:
        _, wrong = read_claims()
        for name in args.claims:
            if name in wrong:  # also where a claim of the package has its name: that is not what was meant
                raise Refused(str(wrong[name]))
    named = {name: get_claim(name) for name in (all_claims() if everything else dict.fromkeys(args.claims))}
    if everything:
        named = {name: claim for name, claim in named.items() if claim.rule.is_tested}
    for claim in named.values():
        pick_arms(claim, getattr(args, "arms", ()))
    return named


def _asked_scales(args: argparse.Namespace) -> dict[str, str]:
    """The scales that were asked for, and why they are what they are: several where own images are split several times."""
    return getattr(args, "own", None) or {args.scale: "as asked"}


def means_all(claims: list[str]) -> bool:
    """Whether these names mean every claim. Raises Refused for "all" beside other names."""
    if "all" in claims and len(claims) > 1:
        others = ", ".join(name for name in claims if name != "all") or "it once"
        raise Refused(f"claim: all means every claim and stands alone; leave it out, or name no other ({others})")
    return claims == ["all"]


def may_download(args: argparse.Namespace) -> bool:
    """Whether the command may bring images: one that trains may, a plan and a rule are told from what is there."""
    return not (args.verb == "plan" or getattr(args, "plan", False) or getattr(args, "new_rule", False))


def first_scale_there(
    claims: Collection[Claim], args: argparse.Namespace, on_gpu: bool, looked: dict[str, str] | None = None
) -> tuple[str, str]:
    """Where no scale is named, the first of FALLBACK that all `claims` know and whose images are there, and why that one; where
    none is there, the first whose images can be downloaded, unless the command only tells: so `plan` and `run` agree
    wherever something is there. An empty scale where there is none, and why. `looked`: why scales were not there at the first
    look of this command, so that what is downloaded for one claim moves no other. Raises Refused for bases that one claim has
    not at a scale."""
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
    """What to say where no scale was named and none could be chosen. `why_none`: why not those that are tried unasked."""
    if why_none and MADE_UP in scales:
        bring = "" if may_download(args) else f"`{command_line('data', 'pack', FALLBACK[0])}` downloads {FALLBACK[0]}, "
        return f"SCALE: none named, and no images there ({why_none}); {bring}--scale {MADE_UP} takes small made-up ones"
    why = f" ({why_none})" if why_none else ""
    return f"SCALE: {who} is asked at {', '.join(scales)}{why}; name one: --scale {scales[0]}, or SCALE={scales[0]}"
