"""What is written down of a network."""

from typing import NamedTuple


class Published(NamedTuple):
    """Parameters and MACs, and sizes that appear in this order on the way from the input to the output."""

    params: int
    macs: int
    sizes: str
