"""Results from the JSON that they were kept as."""

from __future__ import annotations

import json
from typing import Any

from archdsl.bench.results import VERSION, Case, Found, Results


def from_json(text: str) -> Results:
    """What `Results.to_json` wrote. Raises ValueError where it is something else."""
    try:
        value = json.loads(text)
        if value["archdsl_bench"] != VERSION:
            raise ValueError(f"results of version {value['archdsl_bench']}, and this reads version {VERSION}")
        cases = tuple(_case(each) for each in value["networks"])
        return Results(value["date"], value["machine"], value["dtype"], value["threads"], cases)
    except (KeyError, TypeError) as error:
        raise ValueError(f"no results of archdsl bench: {error}") from None


def _case(value: dict[str, Any]) -> Case:
    eager = value["error_of_eager"]
    return Case(
        value["network"],
        value["hash"],
        (value["batch"], *value["input"]),
        value["params"],
        value["macs"],
        None if eager is None else (eager, value["rms_error_of_eager"]),
        tuple(_found(each) for each in value["subjects"]),
        value["onnx"] or "",
        value["onnx_export_s"] or 0.0,
        value["ceilings"],
        value["cpu_share_of_others"],
    )


def _found(value: dict[str, Any]) -> Found:
    held = value.get("bytes", {})
    return Found(
        value["name"],
        value["status"],
        value.get("says", ""),
        _number(value, "error"),
        _number(value, "rms_error"),
        tuple(tuple(calls) for calls in value.get("rounds_ms", ())),
        value.get("ready_s"),
        held.get("libraries"),
        held.get("preparing"),
        held.get("running"),
        tuple(held.get("processes", ())),
    )


def _number(value: dict[str, Any], name: str) -> float | None:
    """JSON has no infinity: such an error was written as null."""
    if name not in value:
        return None
    return float("inf") if value[name] is None else float(value[name])
