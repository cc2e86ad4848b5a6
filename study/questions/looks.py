"""The looks: after how many seeds the runs of a claim are judged. They are fixed before the runs.

Each look costs a share of the error of 5%, which is spread over all looks (study/judge/spending.py). docs/statistics.md
explains how the numbers were chosen.
"""

import itertools
from dataclasses import dataclass

from alexnet.errors import Refused


@dataclass(frozen=True)
class Looks:
    """The numbers of seeds after which a claim is judged. The first arm, which claims share, has more seeds than the others."""

    arms: tuple[int, ...] = (3, 6, 9, 12)  # seeds of each arm except the first, at look 1, 2, ...; the last look is final
    first_arm: tuple[int, ...] = (5, 10, 15, 20)

    def __post_init__(self):
        for name, counts in (("arms", self.arms), ("first_arm", self.first_arm)):
            if not counts or counts[0] < 2 or any(later <= one for one, later in itertools.pairwise(counts)):
                raise Refused(f"looks.{name}: {list(counts)} are not growing numbers of seeds, 2 or more")
        if len(self.arms) != len(self.first_arm) or any(f < a for a, f in zip(self.arms, self.first_arm, strict=True)):
            raise Refused(
                f"looks.first_arm: {list(self.first_arm)} needs one number for each look, none below that of looks.arms"
            )

    @property
    def shares(self) -> tuple[float, ...]:
        """The share of all seeds that is available at each look, in (0, 1]. The error is spread by these shares."""
        return tuple(count / self.arms[-1] for count in self.arms)

    def at(self, seeds: int) -> int:
        """Return the last look (from 1) for which `seeds` seeds of an arm suffice; 0 for none."""
        return sum(count <= seeds for count in self.arms)

    def seeds_of_first_arm(self, seeds: int) -> int:
        """Return how many seeds the first arm needs if the others have `seeds`, by the last look that they reach."""
        look = self.at(seeds)
        return max(seeds, self.first_arm[look - 1] if look else 0)


LOOKS = Looks()
