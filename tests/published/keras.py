"""keras"""

from published.figures import Published

KERAS: dict[str, Published] = {}
