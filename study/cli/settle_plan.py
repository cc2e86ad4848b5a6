"""Plans the work of `settle`: which claims are open, which runs their next looks need, and which of them a budget allows.

Looks are taken one after the other. Only the earlier looks decide which claims train for a look, as if no later one had been
taken. So the choice is the same after a kill, and whatever else is in the tables.
"""

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from alexnet.machine import Machine
from alexnet.recipe import Recipe
from study.counted import counted
from study.judge.case import Case
from study.judge.evidence import find
from study.judge.family import Finding
from study.judge.next_look import chance_to_decide, is_open, number_of_looks, runs_to_look
from study.plan.cost import Pace
from study.plan.fixed_rules import Preregistration, first_seed_of
from study.plan.plan import PlannedRun
from study.questions.claim import Claim
from study.run.one_run import Place
from study.run.run_folder import is_done

UNKNOWN_CHANCE = 0.5
"""Assumed chance that a claim without any runs is decided."""


@dataclass(frozen=True, eq=False)
class OpenClaim:
    """A claim on a base, and its recipes by arm."""

    name: str
    base: str
    claim: Claim
    recipes: Mapping[str, Recipe]

    @property
    def words(self) -> str:
        return f"{self.name} on {self.base}"


@dataclass(frozen=True)
class View:
    """The findings of one scale and image set."""

    found: Mapping[tuple[str, str], Finding]  # by claim and base
    everything: Sequence[Finding]
    done: frozenset[str]  # the keys of runs of this machine

    def of(self, member: OpenClaim) -> Finding | None:
        return self.found.get((member.name, member.base))

    def is_open(self, member: OpenClaim) -> bool:
        one = self.of(member)
        return one is None or is_open(one.verdict)

    def looks_taken(self, member: OpenClaim) -> int:
        one = self.of(member)
        return one.verdict.looks_taken if one else 0


@dataclass(frozen=True)
class Next:
    """What a claim needs for its next look."""

    member: OpenClaim
    look: int
    planned_runs: tuple[PlannedRun, ...]  # still to be trained
    trained: tuple[PlannedRun, ...] = ()  # trained, but their weights are not measured yet
    worth: float = 0.0  # chance of a decision per unit of cost: a second, or a run


@dataclass
class Budget:
    """What a call may spend: hours from now on, or runs; without either, there is no limit."""

    price: Callable[[Sequence[PlannedRun]], float]  # of runs: in seconds, or their number
    limit: float
    by_hours: bool
    began: float = field(default_factory=lambda: time.monotonic())
    trained: int = 0

    @property
    def left(self) -> float:
        return self.limit - (time.monotonic() - self.began if self.by_hours else self.trained)

    @property
    def words(self) -> str:
        if math.isinf(self.limit):
            return "no limit"
        return f"{max(0.0, self.left) / 3600:.1f} hours left" if self.by_hours else f"{counted(round(self.left), 'run')} left"


def budget_of(hours: float | None, runs: int | None, pace: Pace) -> Budget:
    if runs is not None:
        return Budget(lambda planned_runs: float(len(planned_runs)), float(runs), by_hours=False)
    return Budget(
        lambda planned_runs: pace.cost(planned_runs).seconds, math.inf if hours is None else 3600 * hours, by_hours=True
    )


class Settling:
    """The claims to be settled at a scale, by its rule."""

    def __init__(
        self, members: Sequence[OpenClaim], scale: str, rule: Preregistration, fingerprint: str, place: Place, results: Path
    ):
        self.members, self.scale, self.rule, self.fingerprint = members, scale, rule, fingerprint
        self.place, self.results = place, results
        self.set_aside: dict[OpenClaim, str] = {}  # with the reason: this call trains no more for them
        self.damaged: set[str] = set()  # keys of results that are trained again
        self.skipped: dict[str, str] = {}  # keys of results that are neither used nor trained again, with the reason

    @property
    def machine(self) -> Machine:
        return self.place.machine

    @property
    def last_look(self) -> int:
        return len(self.rule.looks.arms)

    def planned(self, member: OpenClaim, label: str, seed: int) -> PlannedRun:
        return PlannedRun(member.name, self.scale, member.base, label, seed, member.recipes[label], self.fingerprint)

    def all_planned_runs(self, member: OpenClaim) -> list[PlannedRun]:
        """Return every run that any look may use on one machine."""
        looks, first = self.rule.looks, first_seed_of(self.rule, member.claim)
        counts = {
            label: looks.first_arm[-1] if label == member.claim.arms[0].label else looks.arms[-1] for label in member.recipes
        }
        if member.claim.measure.runs_together > 1:
            counts = dict.fromkeys(counts, member.claim.measure.runs_together)
        return [
            self.planned(member, label, first + i)
            for i in range(max(counts.values()))
            for label, count in counts.items()
            if i < count
        ]

    def view(self, most_looks: int | None = None) -> View:
        """Return what the tables say, as if at most `most_looks` looks had been taken."""
        findings = find(self.results, most_looks=most_looks, scales=[self.scale])
        mine = [finding for finding in findings.found if (finding.scale, finding.fingerprint) == (self.scale, self.fingerprint)]
        done = findings.runs.key[findings.runs.machine == self.machine.label]
        return View({(finding.claim_name, finding.base): finding for finding in mine}, mine, frozenset(done))

    def case(self, member: OpenClaim, view: View) -> Case:
        """Return a claim with its runs by this rule, which may be newer than that of the findings."""
        without_runs = Case(member.name, member.claim, self.scale, member.base, self.fingerprint)
        return replace(view.of(member) or without_runs, rule=self.rule)

    def to_look(self, member: OpenClaim, look: int, view: View) -> list[PlannedRun] | None:
        """Return the runs that a look still needs from this machine, trained or not; None where this machine cannot complete
        the look."""
        needed = runs_to_look(self.case(member, view), look, self.machine.label)
        if needed is None:
            return None
        order = list(member.recipes)
        return [self.planned(member, *one) for one in sorted(needed, key=lambda one: (one[1], order.index(one[0])))]

    def untrained(self, planned_runs: Iterable[PlannedRun], view: View) -> tuple[PlannedRun, ...]:
        """Return those of `planned_runs` that have no undamaged result in the tables or in a run folder."""
        return tuple(planned for planned in planned_runs if planned.key not in view.done and not self._is_done(planned.key))

    def _is_done(self, key: str) -> bool:
        return key not in self.damaged and is_done(self.place.spool_dir / key)

    def waiting_for(self, look: int, view: View) -> list[Next]:
        """Return the claims whose next look is `look` and is not complete. `view` shows only the earlier looks."""
        found = []
        for member in self.members:
            if member in self.set_aside or not view.is_open(member) or view.looks_taken(member) < look - 1:
                continue
            if look > number_of_looks(member.claim, self.rule.looks):
                continue
            planned_runs = self.to_look(member, look, view)
            if planned_runs is None:
                self.set_aside[member] = (
                    f"look {look} needs more seeds of {member.claim.arms[0].label} on the machine that has the other arms"
                )
            elif planned_runs:
                left = self.untrained(planned_runs, view)
                found.append(Next(member, look, left, tuple(planned for planned in planned_runs if planned not in left)))
        return found

    def in_order(self, waiting: Sequence[Next], view: View, budget: Budget) -> list[Next]:
        """Sort the most promising first: by the chance of a decision within the budget, relative to its cost."""
        open_claims = sum(view.is_open(member) for member in self.members)
        valued = [replace(one, worth=self._worth(one.member, one.look, view, budget, open_claims)) for one in waiting]
        return sorted(valued, key=lambda one: -one.worth)

    def _worth(self, member: OpenClaim, look: int, view: View, budget: Budget, open_claims: int) -> float:
        best = 0.0
        for later in range(look, number_of_looks(member.claim, self.rule.looks) + 1):
            planned_runs = self.untrained(self.to_look(member, later, view) or (), view)
            price = budget.price(planned_runs) if planned_runs else 0.0
            if price > budget.left:
                break
            chance = chance_to_decide(view.of(member), self.rule.looks, later, open_claims)
            best = max(best, (UNKNOWN_CHANCE if math.isnan(chance) else chance) / max(price, 1e-9))
        return best

    def wave(self, waiting: Sequence[Next], view: View, budget: Budget) -> tuple[list[Next], list[PlannedRun]]:
        """Return the waiting claims that the budget allows, and their runs, each once."""
        first_asked: dict[str, PlannedRun] = {}
        for one in waiting:  # in the claims' own order: the same after a kill
            for planned in one.planned_runs:
                first_asked.setdefault(planned.key, planned)
        chosen: list[Next] = []
        runs: dict[str, PlannedRun] = {}
        for one in self.in_order(waiting, view, budget):
            together = {**runs, **{planned.key: first_asked[planned.key] for planned in one.planned_runs}}
            if budget.price(list(together.values())) <= budget.left:
                chosen.append(one)
                runs = together
        return chosen, list(runs.values())

    def reach(self, view: View, budget: Budget) -> dict[OpenClaim, int]:
        """Return the last look of each open claim that fits into the budget, if no claim is decided before."""
        reached = {member: view.looks_taken(member) for member in self.members if view.is_open(member)}
        runs: dict[str, PlannedRun] = {}
        for look in range(1, self.last_look + 1):
            waiting = []
            for member, before in reached.items():
                if member in self.set_aside or before != look - 1 or look > number_of_looks(member.claim, self.rule.looks):
                    continue
                if (planned_runs := self.to_look(member, look, view)) is not None:
                    waiting.append(Next(member, look, self.untrained(planned_runs, view)))
            for one in self.in_order(waiting, view, budget):
                together = {**runs, **{planned.key: planned for planned in one.planned_runs}}
                if not together or budget.price(list(together.values())) <= budget.left:
                    runs, reached[one.member] = together, look
        return reached
