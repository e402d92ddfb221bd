"""Grammars, extensions and settings for editors; docs/editors.md tells what is where."""
