"""What tests say that were skipped because something of the machine is missing."""

MISSING = "an independent implementation can't be imported, so nothing was compared with it"
"""What a skipped comparison says."""

NO_BROWSER = "no page was tried in a browser"
"""What a skipped test of a page says."""
