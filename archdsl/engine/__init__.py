"""The engine: a built model's network, run by the fastest kernels at hand. `archdsl.optimize` makes one.

model's Network ─passes─▶ Network ─select─▶ Program of calls ─in_place─▶ Program ─capture─▶ one function
"""

from archdsl.engine.engine import Engine as Engine
from archdsl.engine.engine import optimize as optimize
