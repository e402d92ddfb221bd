"""What was measured, and the programs that measure it. Not timed tests: machines differ, ratios within a run hold."""
