"""The language server: archdsl's own `check()` in an editor, at every keystroke.

`server.py` speaks the protocol and decides when a text is checked; `analysis.py` is what one check found, with places
an editor can ask for; every other file is one feature, a function from an analysis and a place to the protocol's data.
Nothing here is imported by anything but `archdsl lsp`: pygls and lsprotocol take a third of a second.
"""
