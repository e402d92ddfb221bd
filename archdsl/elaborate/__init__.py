"""From the tree as written to the Network: blocks called, repeats unrolled, every shape inferred.

What it does not do: decide names (names.py has reported those; here a step that has none is skipped) or change the
network (passes do). After an error the stream is *lost*, None, so that one mistake is told once; a shape contract on a
later step finds it again.

One builder, in layers that each add one concern: findings, layers, brackets, steps, whole.
"""

from archdsl.elaborate.whole import Elaboration, elaborate

__all__ = ["Elaboration", "elaborate"]
