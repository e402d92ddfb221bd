-- Neovim 0.11 or later: the server for every spec, with the shapes shown after the steps.
if vim.fn.has('nvim-0.11') == 0 then
  return
end
vim.lsp.enable('archdsl')
vim.api.nvim_create_autocmd('LspAttach', {
  callback = function(event)
    local client = vim.lsp.get_client_by_id(event.data.client_id)
    if client and client.name == 'archdsl' then
      vim.lsp.inlay_hint.enable(true, { bufnr = event.buf })
      vim.bo[event.buf].commentstring = '# %s'
    end
  end,
})
