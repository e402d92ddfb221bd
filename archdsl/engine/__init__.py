"""The engine: a built model's network, run by the fastest kernels at hand. `archdsl.optimize` makes one.

model's Network ─backends─▶ onednn or openvino, of which `archdsl tune` keeps the faster (tuning, choices, machine)

onednn: Network ─passes─▶ Network ─select─▶ Program of calls ─in_place─▶ Program ─capture─▶ one function
openvino: Network ─passes─▶ Network ─openvino_graph─▶ a graph of its operations ─▶ what it compiles
"""

from archdsl.engine.engine import Engine as Engine
from archdsl.engine.engine import optimize as optimize
