"""Pictures of networks: what is shown (scene), where it stands (layout), how it is written (svg, html, mermaid)."""
