"""What every network must be, fused or not: the tests look after each pass."""

from __future__ import annotations

from archdsl.network import Network
from archdsl.passes._kernel import Kernel, Other, Placed, is_side


def complaints(network: Network) -> list[str]:
    """What is wrong with a network, a sentence each; none for a valid one."""
    found = []
    nodes = network.nodes
    for index, node in enumerate(nodes):
        who = f"node {index} ({node.name})"
        if any(not 0 <= source < index for source in node.inputs):
            found.append(f"{who} reads what is not there yet")
            continue
        shapes = [nodes[i].shape for i in node.inputs]
        if isinstance(node.op, Other):
            kernel = nodes[node.inputs[0]].op
            if not isinstance(kernel, Kernel) or not 0 < node.op.index < len(kernel.ways):
                found.append(f"{who} is a way that its kernel does not have")
                continue
            inside = [nodes[i].shape for i in nodes[node.inputs[0]].inputs]
            shape = kernel.shapes(*inside)[node.op.index]
        else:
            shape = node.op.infer(*shapes) if index else node.shape
        if shape != node.shape:
            found.append(f"{who} has the shape {node.shape}, and {shape} follows from its inputs")
        if isinstance(node.op, Kernel):
            found.extend(f"{who} {words}" for words in _of_kernel(node.op, len(node.inputs)))
        if isinstance(node.op, Placed) and len(set(node.inputs)) < len(node.inputs):
            found.append(f"{who} has one tensor at two places")
    placed = [i for node in nodes if isinstance(node.op, Placed) for i in node.inputs]
    found.extend(f"node {i} is placed twice" for i in sorted({i for i in placed if placed.count(i) > 1}))
    if not any(not output.aux for output in network.outputs):
        found.append("nothing comes out")
    found.extend(f"output {o.name} is no node" for o in network.outputs if not 0 <= o.node < len(nodes))
    return found


def _of_kernel(kernel: Kernel, inputs: int) -> list[str]:
    found = []
    read = [i for stage in kernel.stages for i in stage.operands]
    if sorted(read) != list(range(1, inputs)):
        found.append(f"reads {sorted(read)} of {inputs} inputs")
    if not kernel.trunk:
        found.append("does nothing")
    for stage in kernel.stages:
        if stage.side and (stage.kind != "add" or not is_side(stage.side[-1])):
            found.append("has a side that is no projection")
        if any(inner.operands or inner.side for inner in stage.side):
            found.append("has a side that reads more")
    return found
