"""The kept results are what their table says."""

from __future__ import annotations

from benchmarks.cpu import RESULTS, table


def test_the_table_is_of_the_kept_results() -> None:
    assert "\n".join(table()) in (RESULTS / "README.md").read_text(encoding="utf-8")
