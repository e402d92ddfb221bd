"""The figures that each shipped spec is held to, written down a second time, from the papers and from independent
implementations, so that a spec and its `expect` can't be wrong together. One file per family.
"""

from published.classic import CLASSIC
from published.figures import Published
from published.keras import KERAS
from published.mobile import MOBILE
from published.residual import RESIDUAL

PUBLISHED: dict[str, Published] = {**CLASSIC, **RESIDUAL, **MOBILE, **KERAS}

__all__ = ["PUBLISHED", "Published"]
