"""The kept results are what their tables say."""

from __future__ import annotations

import json
from dataclasses import replace
from math import isclose
from pathlib import Path

import pytest

from archdsl.bench.read import from_json
from benchmarks import lsp
from benchmarks.cpu import RESULTS, cpus, keep, table


@pytest.mark.parametrize("cpu", cpus())
def test_the_table_is_of_the_kept_results(cpu: str) -> None:
    assert f"{cpu}\n\n" + "\n".join(table(cpu)) in (RESULTS / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*-batch*.json")), ids=lambda path: path.stem)
def test_kept_results_are_read_as_they_were_written(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    again = from_json(text).to_json()
    assert from_json(again).to_json() == again
    assert alike(json.loads(again), json.loads(text))


def alike(one: object, two: object) -> bool:
    """But for how times were rounded."""
    if isinstance(one, dict) and isinstance(two, dict):
        return one.keys() == two.keys() and all(alike(value, two[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(two, list):
        return len(one) == len(two) and all(map(alike, one, two))
    return isclose(one, two, rel_tol=1e-3) if isinstance(one, float) and isinstance(two, float) else one == two


def test_a_network_takes_the_place_of_what_was_kept_of_it(tmp_path: Path) -> None:
    kept = from_json((RESULTS / "amd-epyc-batch1-f32.json").read_text(encoding="utf-8"))
    keep(replace(kept, cases=kept.cases[1:3]), tmp_path / "some.json")
    again = replace(kept.cases[2], macs=1)
    keep(replace(kept, cases=(again, kept.cases[0])), tmp_path / "some.json")
    found = from_json((tmp_path / "some.json").read_text(encoding="utf-8"))
    assert found.cases == (kept.cases[0], kept.cases[1], again)
    assert (tmp_path / "some.svg").read_text(encoding="utf-8").count(again.network) == 1
    keep(replace(kept, threads=7, cases=kept.cases[:1]), tmp_path / "some.json")
    assert len(from_json((tmp_path / "some.json").read_text(encoding="utf-8")).cases) == 1


@pytest.mark.parametrize("text", ["{}", "[]", "null", '{"archdsl_bench": 0}', '{"archdsl_bench": 1, "networks": [{}]}'])
def test_other_files_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="results"):
        from_json(text)


def test_the_language_server_s_too() -> None:
    found = json.loads(lsp.KEPT.read_text(encoding="utf-8"))
    assert found["speed"]["edits"] == lsp.TIMED and str(lsp.WEIGHED) in found["memory"]["mib_after_edits"]
    assert "\n".join(lsp.table(found)) in (RESULTS / "README.md").read_text(encoding="utf-8")
