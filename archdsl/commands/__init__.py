"""The commands of the program, a file each. A new command is a new file, and its line in COMMANDS.

`archdsl NAME` imports archdsl/commands/NAME.py and no other command. The file has two functions:

- `arguments(parser)` declares what the command takes. `_options` has what several take: `of_network(parser)`
  (--input, -p, --arch, --root), `of_features(parser)`, `of_force(parser)`, types such as `whole("batch")`.
  --color is there already.
- `run(args) -> int` does the work and returns CLEAN or FINDINGS. It raises `Unusable` for a wrong command or
  a file that can't be used, ArchError for findings; archdsl/cli.py prints both and sets the exit code.

`_specs` opens what SPEC names: `load(args, args.spec)`. `_output` prints and writes: `report` shows findings,
`printable` makes a text safe for a terminal, `refuse_others` keeps files that archdsl did not write, `write`
writes a whole file or nothing. A file whose name begins with _ is shared, and no command. Other stages of
archdsl, and all that is slow to import, are imported inside `run`, never at the top of a file.
"""

from __future__ import annotations

from collections.abc import Iterable

CLEAN, FINDINGS, UNUSABLE = 0, 1, 2

# In the order in which --help lists them.
COMMANDS = {
    "compile": "Check a spec, print its table and write the PyTorch module.",
    "check": "Check specs and print what is wrong with them.",
    "fmt": "Bring specs into their canonical form.",
    "summary": "Print the table of a network: sizes, parameters, MACs.",
    "draw": "Draw a network as a paper would: SVG, a page that zooms, or mermaid.",
    "view": "Show a spec in a page that follows what is typed.",
    "plot": "Show where parameters, MACs and activations sit along the depth.",
    "diff": "Say what is different between two networks: steps, costs, weights that carry over.",
    "weights": "Load another implementation's weights, and write them for this network.",
    "passes": "Show what each pass of the engine saves: kernels and bytes moved.",
    "export": "Write a network as an ONNX or PT2 file, compared with the module.",
    "tune": "Time the engine's backends on a network, and keep which is the fastest.",
    "bench": "Measure the engine beside what could be run instead.",
    "zoo": "List the shipped networks, and which published figures they have.",
    "lsp": "Serve an editor: diagnostics, shapes and more at every keystroke.",
    "layers": "List layers and library blocks, or explain one.",
    "explain": "Explain a diagnostic code.",
    "completions": "Print a script that completes archdsl in a shell.",
}


class Unusable(Exception):
    """What was asked for can't be done: a usage error, told in one line."""


def meant(wrong: str, known: Iterable[str]) -> str:
    """`; did you mean 'conv'?`, or nothing where no known word is near."""
    from archdsl.diagnostics import did_you_mean

    near = did_you_mean(wrong, known)
    return f"; did you mean {near!r}?" if near else ""
