"""The names of sets of the user's own images, such as "own-pets-32px", and what they mean. Needs no torch."""

import re
from dataclasses import dataclass

SIDES = (32, 64, 256)
"""The pixels a side for which there are networks, with crops of 28, 56 and 224."""
TEST_PERCENT, MOST_TEST_PERCENT = 20, 90
NAME = re.compile(r"own-(?P<word>[a-z0-9]+(?:[-_][a-z0-9]+)*)-(?P<side>\d+)px(?:-test(?P<test>\d+))?(?:-split(?P<split>\d+))?")


@dataclass(frozen=True)
class OwnName:
    """What the name of a set says about it."""

    word: str
    side: int  # pixels a side to which every image is resized
    test_percent: int = TEST_PERCENT  # of each class, if the set is split here
    split: int = 0  # the number of the split: which of the possible ones

    def __str__(self) -> str:
        test = f"-test{self.test_percent}" if self.test_percent != TEST_PERCENT else ""
        return f"own-{self.word}-{self.side}px{test}{f'-split{self.split}' if self.split else ''}"


def own_name(text: str) -> OwnName | None:
    """Return the parts of such a name; None for any other name."""
    if not (found := NAME.fullmatch(text)):
        return None
    name = OwnName(found["word"], int(found["side"]), int(found["test"] or TEST_PERCENT), int(found["split"] or 0))
    return name if str(name) == text else None
