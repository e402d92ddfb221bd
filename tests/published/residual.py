"""residual"""

from published.figures import Published

RESIDUAL: dict[str, Published] = {}
