"""Activations, and affine layers that can't be folded, in the kernel that makes what they read.

Saves reading and writing that tensor once.
"""

from __future__ import annotations

from archdsl.network import Network
from archdsl.passes._draft import Accepts, Draft, everything
from archdsl.passes._kernel import ACTIVATIONS, AFFINE


def run(network: Network, accepts: Accepts = everything) -> Network:
    draft = Draft(network, accepts)
    for item in draft:
        kernel = item.kernel
        if kernel is not None and all(s.kind in ACTIVATIONS | AFFINE for s in kernel.trunk):
            draft.append(item)
    return draft.done()
