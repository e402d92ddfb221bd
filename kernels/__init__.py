"""The Triton kernels, one file each, imported as `archdsl.kernels.<name>`; README.md says how they are made and proved."""
