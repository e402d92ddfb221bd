"""The grammars of the language. A package only so that they are installed: read them with `archdsl.resources`."""
