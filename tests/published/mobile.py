"""mobile"""

from published.figures import Published

MOBILE: dict[str, Published] = {}
