"""Triton kernels, one file each, imported as `archdsl.kernels.<name>`. None needs a GPU to be imported."""
