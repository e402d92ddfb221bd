"""A page on this machine that follows what is typed: what is answered (answer), and who is answered (server)."""
