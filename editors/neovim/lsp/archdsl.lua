-- The server of the archdsl that is on the PATH; an active virtual environment comes first there.
return {
  cmd = { 'archdsl', 'lsp' },
  filetypes = { 'archdsl' },
  root_markers = { 'pyproject.toml', '.git' },
}
