"""The place of the Triton kernels, one file each, imported as `archdsl.kernels.<name>`. None is written yet."""
