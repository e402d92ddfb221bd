"""All that is at hand for a problem: Triton kernels, libraries' convolutions, torch's own operators."""

from __future__ import annotations

from archdsl.engine.gpu import cudnn_side, matches, matches_fused, matches_pools, torch_side, triton_side
from archdsl.engine.gpu.candidate import Candidate
from archdsl.engine.gpu.problem import Problem

MATCHES = (
    matches.convolution,
    matches.matrix,
    matches.first,
    matches.by_channel,
    matches.elementwise,
    matches_fused.norm_convolution,
    matches_fused.gated_convolution,
    matches_fused.projected,
    matches_fused.depthwise_convolution,
    matches_fused.back_to_back,
    matches_fused.excitation,
    matches_pools.convolution_pool,
    matches_pools.first_pool,
    matches_pools.convolution_mean,
    matches_pools.pool_convolution,
    matches_pools.branches,
    matches_pools.alone,
    matches_pools.mean,
)
"""The forms of all kernels; a problem may be of several."""

BACKENDS = frozenset({"triton", "cudnn", "torch"})


def candidates(backends: frozenset[str] | None, problem: Problem) -> tuple[Candidate, ...]:
    """Those of some backends, or of all; best first by what they should take. torch's own operators can do
    everything."""
    found: list[Candidate] = []
    wanted = BACKENDS if backends is None else backends
    if "triton" in wanted:
        found += triton_side.candidates(problem, MATCHES)
    if "cudnn" in wanted:
        found += torch_side.library(problem)
        found += cudnn_side.graphs(problem)
    if "torch" in wanted or not found:
        found += torch_side.plain(problem)
    return tuple(sorted(found, key=lambda candidate: candidate.seconds))


def has(backends: frozenset[str] | None, problem: Problem) -> bool:
    """Whether one kernel does a problem, or one of a library and an element-wise one: then passes may make
    it. Packages that need not be there are not asked: they change no launch."""
    wanted = BACKENDS if backends is None else backends
    if "triton" in wanted and any(match(problem) is not None for match in MATCHES):
        return True
    return "cudnn" in wanted and bool(torch_side.library(problem))
