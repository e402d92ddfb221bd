"""What is different between two networks: steps that belong together (align), what that means (compare), and how it is
told (text, data, html)."""
