"""Checks that each row of runs.csv is the run that it claims to be, by computing its key (a digest of recipe, seed and data)
again."""

from collections.abc import Collection, Mapping
from pathlib import Path

import pandas as pd

from alexnet.errors import Refused
from alexnet.recipe import Recipe, differences, run_key
from study.questions.claim import JUDGED_SEEDS_BELOW

AskedRun = tuple[str, str, str, str]
"""Claim, scale, base and arm."""


class KeysAsked:
    """The keys of all runs that claims ask for, with what each key was computed from."""

    def __init__(self):
        self.seeds: dict[str, tuple[int, str]] = {}  # and fingerprint, by key
        self.keys: dict[tuple[AskedRun, str], Mapping[int, str]] = {}  # by seed
        self.recipes: dict[AskedRun, Recipe] = {}
        self.recipe_of: dict[str, Recipe] = {}  # by key
        self.searched: dict[AskedRun, Collection[str]] = {}  # the fields that a search sets

    def add(
        self, place: AskedRun, recipe: Recipe, fingerprint: str, keys: Mapping[int, str], searched: Collection[str] = ()
    ) -> None:
        """Add the keys, by seed, of an arm on some data. `searched`: fields whose values a search finds."""
        self.recipes[place], self.searched[place] = recipe, searched
        self.recipe_of |= dict.fromkeys(keys.values(), recipe)
        self.keys[place, fingerprint] = keys
        self.seeds |= {key: (seed, fingerprint) for seed, key in keys.items()}

    def check(self, path: Path, runs: pd.DataFrame) -> None:
        """Raises Refused for a row whose claim, arm, seed or data do not give its key.

        Where settings were changed since, for example by a new search for learning rates, no arm and seed give the old keys any
        more. These rows are stale, which is no error. Rows at an earlier rate that another claim still uses, such as the shared
        one, are no error either."""
        columns = [runs[name].tolist() for name in ("key", "machine", "claim", "scale", "base", "arm", "data_fingerprint")]
        every_seed: dict[AskedRun, Mapping[str, tuple[int, str]]] = {}
        for key, machine, *place, fingerprint, seed, data in zip(*columns, runs.seed.tolist(), runs.data.tolist(), strict=True):
            place = (place[0], place[1], place[2], place[3])
            own = self.keys.get((place, fingerprint), {}).get(seed)
            if own == key or place not in self.recipes:
                made_of = self.seeds.get(key, (seed, fingerprint))
            else:
                if place not in every_seed:
                    every_seed[place] = self._every_seed(place)
                made_of = self.seeds.get(key) or every_seed[place].get(key, (seed, fingerprint))
                if key in self.seeds and made_of == (seed, fingerprint) and not self._has_other_rate(key, place):
                    self._refuse(path, f"{key} {machine}", "another recipe", f"{place[0]}, {place[2]}, {place[3]}")
            if made_of != (seed, fingerprint):
                self._refuse(path, f"{key} {machine}", f"seed {made_of[0]} on {made_of[1]}", f"{seed} on {fingerprint}")
            if place in self.recipes and data != self.recipes[place].data.name:
                self._refuse(path, f"{key} {machine}", f"images {self.recipes[place].data.name}", data)

    def _has_other_rate(self, key: str, place: AskedRun) -> bool:
        """Return whether a key differs from this arm only in the fields that its search sets."""
        return set(differences(self.recipe_of[key], self.recipes[place])) <= set(self.searched[place])

    def _every_seed(self, place: AskedRun) -> dict[str, tuple[int, str]]:
        """Return the seed and data that give each key, for all seeds that can ever be judged."""
        data = sorted({fingerprint for _, fingerprint in self.keys})
        recipe = self.recipes[place]
        return {run_key(recipe, seed, one): (seed, one) for one in data for seed in range(JUDGED_SEEDS_BELOW)}

    @staticmethod
    def _refuse(path: Path, run: str, made_of: str, row: str) -> None:
        raise Refused(
            f"{path}: the key of {run} is that of {made_of}, its row says {row}; undo the change, or delete the row, and "
            "`python -m study record` makes it again from the run folders"
        )
