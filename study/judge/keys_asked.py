"""Checks that each row of runs.csv is the run that it claims to be, by computing its key (a digest of recipe, seed and data)
again."""

from collections.abc import Collection, Mapping
from pathlib import Path

import pandas as pd

from alexnet.errors import Refused
from alexnet.recipe import Recipe, differences, run_key
from study.questions.asked import Asked
from study.questions.claim import JUDGED_SEEDS_BELOW


class KeysAsked:
    """The keys of all runs that claims ask for, with what each key was computed from."""

    def __init__(self):
        self.seeds: dict[str, tuple[int, str]] = {}  # and fingerprint, by key
        self.keys: dict[tuple[Asked, str], Mapping[int, str]] = {}  # by seed
        self.recipes: dict[Asked, Recipe] = {}
        self.recipe_of: dict[str, Recipe] = {}  # by key
        self.searched: dict[Asked, Collection[str]] = {}  # the fields that a search sets

    def add(
        self, asked: Asked, recipe: Recipe, fingerprint: str, keys: Mapping[int, str], searched: Collection[str] = ()
    ) -> None:
        """Add the keys, by seed, of an arm on some data. `searched`: fields whose values a search finds."""
        self.recipes[asked], self.searched[asked] = recipe, searched
        self.recipe_of |= dict.fromkeys(keys.values(), recipe)
        self.keys[asked, fingerprint] = keys
        self.seeds |= {key: (seed, fingerprint) for seed, key in keys.items()}

    def check(self, path: Path, runs: pd.DataFrame) -> None:
        """Raises Refused for a row whose claim, arm, seed or data do not give its key.

        Where settings were changed since, for example by a new search for learning rates, no arm and seed give the old keys any
        more. These rows are stale, which is no error. Rows at an earlier rate that another claim still uses, such as the shared
        one, are no error either."""
        columns = [runs[name].tolist() for name in ("key", "machine", "claim", "scale", "base", "arm", "data_fingerprint")]
        every_seed: dict[Asked, Mapping[str, tuple[int, str]]] = {}
        for key, machine, *place, fingerprint, seed, data in zip(*columns, runs.seed.tolist(), runs.data.tolist(), strict=True):
            asked = Asked(*place)
            own = self.keys.get((asked, fingerprint), {}).get(seed)
            if own == key or asked not in self.recipes:
                made_of = self.seeds.get(key, (seed, fingerprint))
            else:
                if asked not in every_seed:
                    every_seed[asked] = self._every_seed(asked)
                made_of = self.seeds.get(key) or every_seed[asked].get(key, (seed, fingerprint))
                if key in self.seeds and made_of == (seed, fingerprint) and not self._has_other_rate(key, asked):
                    self._refuse(path, f"{key} {machine}", "another recipe", f"{asked.claim}, {asked.base}, {asked.arm}")
            if made_of != (seed, fingerprint):
                self._refuse(path, f"{key} {machine}", f"seed {made_of[0]} on {made_of[1]}", f"{seed} on {fingerprint}")
            if asked in self.recipes and data != self.recipes[asked].data.name:
                self._refuse(path, f"{key} {machine}", f"images {self.recipes[asked].data.name}", data)

    def _has_other_rate(self, key: str, asked: Asked) -> bool:
        """Return whether a key differs from this arm only in the fields that its search sets."""
        return set(differences(self.recipe_of[key], self.recipes[asked])) <= set(self.searched[asked])

    def _every_seed(self, asked: Asked) -> dict[str, tuple[int, str]]:
        """Return the seed and data that give each key, for all seeds that can ever be judged."""
        data = sorted({fingerprint for _, fingerprint in self.keys})
        recipe = self.recipes[asked]
        return {run_key(recipe, seed, one): (seed, one) for one in data for seed in range(JUDGED_SEEDS_BELOW)}

    @staticmethod
    def _refuse(path: Path, run: str, made_of: str, row: str) -> None:
        raise Refused(
            f"{path}: the key of {run} is that of {made_of}, its row says {row}; undo the change, or delete the row, and "
            "`python -m study record` makes it again from the run folders"
        )
