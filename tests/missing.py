"""What a skipped comparison says."""

MISSING = "an independent implementation can't be imported, so nothing was compared with it"
