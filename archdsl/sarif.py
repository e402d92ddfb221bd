"""Diagnostics as SARIF 2.1.0, the format of code scanning services (OASIS, 2020)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import quote

from archdsl.codes import CODES
from archdsl.diagnostics import Diagnostic, Fix
from archdsl.render import place_of
from archdsl.source import Span

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def to_sarif(diagnostics: Iterable[Diagnostic], version: str) -> str:
    """One run with one result per finding, as JSON text in ASCII. version: archdsl's own."""
    found = list(diagnostics)
    codes = sorted({d.code for d in found})
    run = {
        "tool": {"driver": {"name": "archdsl", "version": version, "rules": [_rule(code) for code in codes]}},
        "columnKind": "unicodeCodePoints",
        "results": [_result(d, codes.index(d.code)) for d in found],
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2)


def _rule(code: str) -> dict[str, Any]:
    title, page = CODES[code]
    return {
        "id": code,
        "shortDescription": {"text": title},
        "help": {"text": page},
        "defaultConfiguration": {"level": "warning" if code.startswith("L") else "error"},
    }


def _result(d: Diagnostic, rule: int) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": d.code,
        "ruleIndex": rule,
        "level": d.severity,
        "message": {"text": "\n".join(_words(d))},
    }
    if d.span is not None and _is_file(d.span):
        result["locations"] = [{"physicalLocation": _place(d.span)}]
    related = [r for r in d.related if _is_file(r.span)]
    if related:
        result["relatedLocations"] = [
            {"id": number, "physicalLocation": _place(r.span), "message": {"text": r.message}}
            for number, r in enumerate(related, 1)
        ]
    if d.fix is not None and _is_file(d.fix.span):
        result["fixes"] = [_fix(d.fix)]
    return result


def _words(d: Diagnostic) -> list[str]:
    words = [d.message, *([d.label] if d.label else []), *d.notes]
    return [*words, *([f"help: {d.hint}"] if d.hint else [])]


def _is_file(span: Span) -> bool:
    """Names such as <stdin> are no files."""
    return not span.source.name.startswith("<")


def _place(span: Span) -> dict[str, Any]:
    return {"artifactLocation": _file(span), "region": _region(span)}


def _file(span: Span) -> dict[str, Any]:
    """A path as the URI that it is, relative where the path is."""
    path = PurePath(span.source.name)
    return {"uri": Path(path).as_uri() if path.is_absolute() else quote(path.as_posix())}


def _region(span: Span) -> dict[str, Any]:
    """1-based lines and columns; the end is past the last character."""
    place = place_of(span)
    return {
        "startLine": place["line"],
        "startColumn": place["column"],
        "endLine": place["end_line"],
        "endColumn": place["end_column"],
    }


def _fix(fix: Fix) -> dict[str, Any]:
    replacement = {"deletedRegion": _region(fix.span), "insertedContent": {"text": fix.text}}
    return {
        "description": {"text": fix.title},
        "artifactChanges": [{"artifactLocation": _file(fix.span), "replacements": [replacement]}],
    }
