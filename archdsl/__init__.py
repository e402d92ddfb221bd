"""Convolutional networks as text: checked, summed up, compiled to PyTorch.

>>> import archdsl
>>> network = archdsl.loads("conv3-64 x2; maxpool; inception(64, 96, 128, 16, 32, 32)", input="3x224x224")
>>> network.shape, network.params
((256, 112, 112), 175792)

`load` and `loads` give a `Network`; `emit` turns it into the text of a PyTorch module, `build` into a live one.
Neither torch nor triton is imported until `build` is called.
"""

import os as _os
from typing import TYPE_CHECKING as _TYPE_CHECKING

# grammar/, kernels/ and specs/ are installed inside this package; in a checkout they stand beside it. Looking there
# too makes `import archdsl.kernels` work without installing.
_checkout = _os.path.dirname(_os.path.dirname(_os.path.abspath(__file__)))
if _os.path.isfile(_os.path.join(_checkout, "grammar", "arch.lark")):
    __path__.append(_checkout)

__version__ = "0.1.0"

if _TYPE_CHECKING:
    from archdsl.api import build as build
    from archdsl.api import emit as emit
    from archdsl.api import load as load
    from archdsl.api import loads as loads
    from archdsl.backbones import feature_info as feature_info
    from archdsl.backbones import features as features
    from archdsl.diagnostics import ArchError as ArchError
    from archdsl.diagnostics import Diagnostic as Diagnostic
    from archdsl.engine import optimize as optimize
    from archdsl.live import network_of as network_of
    from archdsl.network import Network as Network
    from archdsl.network import Node as Node
    from archdsl.transfer import freeze as freeze
    from archdsl.transfer import replace_head as replace_head
    from archdsl.transfer import unfreeze as unfreeze
    from archdsl.weights.load import load_weights as load_weights

_HOMES = {
    "ArchError": "diagnostics",
    "Diagnostic": "diagnostics",
    "Network": "network",
    "Node": "network",
    "build": "api",
    "emit": "api",
    "feature_info": "backbones",
    "features": "backbones",
    "freeze": "transfer",
    "load": "api",
    "load_weights": "weights.load",
    "loads": "api",
    "network_of": "live",
    "optimize": "engine",
    "replace_head": "transfer",
    "unfreeze": "transfer",
}


def __getattr__(name: str) -> object:
    """Public names are imported when first asked for, so that a bare `import archdsl` costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'archdsl' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"archdsl.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
