"""What loading did, as a value: what was matched with what, on which evidence, and what was left."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass

EVIDENCE = {
    "names": "by name",
    "graph": "by its place in the data flow",
    "structure": "by kind and shape alone",
    "blocks": "by blocks",
    "order": "by order",
    "numbers": "by numbers in names",
    "words": "by words in names",
}
"""What each kind of evidence is called in a sentence."""


@dataclass(frozen=True)
class Match:
    """One tensor of the model and the source's, with what it went by and how the values were rearranged."""

    ours: str
    theirs: str
    shape: tuple[int, ...]
    evidence: tuple[str, ...]
    change: str = ""


@dataclass(frozen=True)
class Report:
    """Returned by `archdsl.load_weights`; str() of it is a few lines.

    matched   every tensor that was loaded. skipped: the source's, left out as asked; kept: the model's, left as they
              were as asked.
    notes     what is worth knowing: values that are not finite, precision that was lost, another network's file.
    """

    source: str
    matched: tuple[Match, ...]
    skipped: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def elements(self) -> int:
        """How many numbers were loaded."""
        total = 0
        for match in self.matched:
            size = 1
            for side in match.shape:
                size *= side
            total += size
        return total

    def __str__(self) -> str:
        lines = [f"{self.source}: {_count(len(self.matched), 'tensor')} loaded, {_count(self.elements, 'number')}"]
        by = Counter(" and ".join(EVIDENCE[word] for word in match.evidence) for match in self.matched)
        lines += [f"  {count:>6,} {how}" for how, count in by.most_common()]
        changes = Counter(match.change for match in self.matched if match.change)
        lines += [f"  {count:>6,} rearranged: {change}" for change, count in changes.most_common()]
        for what, names in (("skipped", self.skipped), ("kept as they were", self.kept)):
            if names:
                more = f" and {len(names) - 3} more" if len(names) > 3 else ""
                lines.append(f"  {len(names):>6,} {what}: {', '.join(names[:3])}{more}")
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])

    def to_json(self) -> str:
        """All of it as JSON text."""
        return json.dumps(asdict(self), indent=1)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
