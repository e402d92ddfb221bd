"""A difference as plain lists and dicts, and as JSON: all of it, uncut."""

from __future__ import annotations

import json
from typing import Any

from archdsl.diff.compare import Change, Difference, Row, Step
from archdsl.diff.weights import Tensor, numbers
from archdsl.diff.words import entries, headline
from archdsl.network import Network
from archdsl.summary import plain


def to_json(difference: Difference) -> str:
    return json.dumps(to_data(difference), indent=2)


def to_data(difference: Difference) -> dict[str, Any]:
    """Symbolic sizes are text; what only one network has is None in the other."""
    weights = difference.weights
    return {
        "a": _network(difference.a),
        "b": _network(difference.b),
        "same": difference.same,
        "headline": headline(difference),
        "wired_alike": difference.wired_alike,
        "layers_in_both": difference.together,
        "steps": [_row(row) for row in difference.rows],
        "inside_blocks": [
            {
                "change": entry.kind,
                "block": list(entry.place or ()),
                "blocks": entry.of,
                "step": entry.name,
                "count": len(entry.changes),
                "titles": [list(titles) for titles in entry.titles],
                "words": entry.words,
            }
            for entry in entries(difference.changes, difference.blocks)
        ],
        "rewired": [{"layer": r.layer, "before": r.before, "after": r.after} for r in difference.rewired],
        "weights": {
            name: {"numbers": numbers(tensors), "tensors": [_tensor(tensor) for tensor in tensors]}
            for name, tensors in (
                ("carried", weights.carried),
                ("reshaped", weights.reshaped),
                ("gone", weights.gone),
                ("new", weights.new),
            )
        },
    }


def _network(network: Network) -> dict[str, Any]:
    image = network.last_image
    return {
        "name": network.name,
        "hash": network.hash,
        "layers": len(network.layers),
        "input": [plain(side) for side in network.input],
        "output": [plain(side) for side in network.shape],
        "params": plain(network.params),
        "buffers": plain(network.buffers),
        "macs": plain(network.macs),
        "activation_bytes": plain(network.activation_bytes),
        "peak_bytes": network.peak_bytes,
        "receptive_field": [plain(side) for side in image.extent],
        "stride": [str(side) for side in image.jump],
        "outputs": [{"name": o.name, "aux": o.aux, "weight": o.weight} for o in network.outputs],
    }


def _row(row: Row) -> dict[str, Any]:
    return {
        "change": row.change,
        "a": _step(row.a),
        "b": _step(row.b),
        "gone": row.gone,
        "new": row.new,
        "changes": [_change(change) for change in row.changes],
    }


def _step(step: Step | None) -> dict[str, Any] | None:
    if step is None:
        return None
    return {
        "title": step.title,
        "output": [plain(side) for side in step.output],
        "params": plain(step.params),
        "macs": plain(step.macs),
        "receptive_field": step.field and [plain(side) for side in step.field],
    }


def _change(change: Change) -> dict[str, Any]:
    return {
        "change": change.kind,
        "titles": list(change.titles),
        "arguments": {name: list(pair) for name, pair in change.values.items()},
        "layers": [list(pair) for pair in change.other_layers],
        "reads": change.reads and [[plain(side) for side in shape] for shape in change.reads],
    }


def _tensor(tensor: Tensor) -> dict[str, Any]:
    shapes = ([plain(side) for side in shape] for shape in (tensor.before, tensor.after))
    before, after = shapes
    return {
        "a": tensor.a or None,
        "b": tensor.b or None,
        "before": before if tensor.a else None,
        "after": after if tensor.b else None,
    }
