"""The shipped specs. A package only so that they are installed: find them with `archdsl.resources`."""
