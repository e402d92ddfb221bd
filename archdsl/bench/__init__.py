"""`archdsl bench`: the engine and everything that a user could run instead, side by side, correctness before speed.

`measure` leads; each subject runs in a process of its own (`worker`), on weights, images and a float64 truth that one more
process made beforehand (`stage`). No other file here imports what it measures.
"""
