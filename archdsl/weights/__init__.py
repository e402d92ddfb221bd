"""Weights from elsewhere into a network of ours: all of them, each in its place, or none.

`slots` says what is compared, `network_side` and a reader for each kind of source give it, `graph` and `align` find which
layer is which, `disagreement` says why not, and `load` does it.
"""
